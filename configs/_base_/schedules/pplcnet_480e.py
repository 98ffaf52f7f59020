# Source: PaddleClas's configs/ImageNet/PPLCNetV2/PPLCNetV2_base.yaml (docs/specification/pplcnet.md#pplcnetv2).
max_epochs = 480
warmup_epochs = 5

train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=max_epochs, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

optim_wrapper = dict(
    type='OptimWrapper',
    # Without Nesterov; 2e-5 for the small size.
    optimizer=dict(type='SGD', lr=0.8, momentum=0.9, weight_decay=4e-5),
    # Neither scale nor shift of the norms is decayed; the biases of SE and of the classifier are.
    paramwise_cfg=dict(norm_decay_mult=0.0),
)
# lr is for 4 GPUs x 500 images of the first scale; another batch size of the first scale scales it linearly.
auto_scale_lr = dict(enable=True, base_batch_size=2000)

param_scheduler = [
    # From 0 in the original; mmengine wants a factor above it.
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
