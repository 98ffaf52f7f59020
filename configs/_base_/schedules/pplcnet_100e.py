# Source: PaddleClas's PPLCNet_x2_5_dml.yaml and _udml.yaml: 100 epochs, 4 GPUs x 128 images
# (docs/specification/pplcnet.md#ssld-configs).
max_epochs = 100
warmup_epochs = 5

train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=max_epochs, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.4, momentum=0.9, weight_decay=4e-5),
    paramwise_cfg=dict(norm_decay_mult=0.0),
)
auto_scale_lr = dict(enable=True, base_batch_size=512)

param_scheduler = [
    dict(type='LinearLR', start_factor=1e-6, begin=0, end=warmup_epochs, by_epoch=True, convert_to_iter_based=True),
    dict(
        type='CosineAnnealingLR',
        eta_min=0,
        begin=warmup_epochs,
        end=max_epochs,
        T_max=max_epochs - warmup_epochs,
        by_epoch=True,
        convert_to_iter_based=True,
    ),
]
custom_hooks = []
