# The schedule of the second generation: that of the paper's time with another learning rate and no restarts of the EMA
# (docs/specification/picodet.md#schedules, docs/specification/picodet.md#ema).
_base_ = './picodet_300e.py'

# As in all configs of this generation, 0.00125 per image of the total batch.
optim_wrapper = dict(optimizer=dict(lr=0.32))
auto_scale_lr = dict(enable=True, base_batch_size=256)

custom_hooks = [
    dict(type='NumClassCheckHook'),
    dict(type='SetEpochInfoHook'),
    dict(type='EMAHook', ema_type='RampedEMA', momentum=0.0002, update_buffers=True),
]
