# Source: PaddleClas's configs/ImageNet/MobileNetV2/*.yaml; ShuffleNet/*.yaml add a warm-up, MobileNetV1's has steps.
# Configs set the learning rate, its batch size and the weight decay.
max_epochs = 240

train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=max_epochs, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

# Norms have the same weight decay as the other parameters.
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', momentum=0.9))
auto_scale_lr = dict(enable=True)

param_scheduler = [
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
custom_hooks = []
