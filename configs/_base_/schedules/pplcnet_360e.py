# Source: PaddleClas's configs/ImageNet/PPLCNet/PPLCNet_x1_0.yaml (docs/specification/pplcnet.md#imagenet-recipe).
max_epochs = 360
warmup_epochs = 5

train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=max_epochs, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

optim_wrapper = dict(
    type='OptimWrapper',
    # Without Nesterov; 4e-5 from 1.5x on.
    optimizer=dict(type='SGD', lr=0.8, momentum=0.9, weight_decay=3e-5),
    # No weight decay on norms, but on the biases of SE and of the classifier.
    paramwise_cfg=dict(norm_decay_mult=0.0),
)
# lr is for 4 GPUs x 512; it is scaled linearly for another total batch size.
auto_scale_lr = dict(enable=True, base_batch_size=2048)

param_scheduler = [
    # From 0 in the original; mmengine needs a factor above 0.
    dict(
        type='LinearLR',
        start_factor=1e-6,
        begin=0,
        end=warmup_epochs,
        by_epoch=True,
        convert_to_iter_based=True,
    ),
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
