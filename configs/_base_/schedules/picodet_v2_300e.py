# The second generation's schedule: the paper era's, with another rate and an average that never starts anew
# (docs/specification/picodet.md#schedules, docs/specification/picodet.md#ema).
_base_ = './picodet_300e.py'

# The rule of all its configs: 0.00125 per image of the total batch.
optim_wrapper = dict(optimizer=dict(lr=0.32))
auto_scale_lr = dict(enable=True, base_batch_size=256)

custom_hooks = [
    dict(type='NumClassCheckHook'),
    dict(type='SetEpochInfoHook'),
    dict(type='EMAHook', ema_type='RampedEMA', momentum=0.0002, update_buffers=True),
]
