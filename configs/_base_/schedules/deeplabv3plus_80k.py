# Source: PaddleSeg's configs/_base_/cityscapes.yml: 80,000 iterations, 4 GPUs x 2 images, SGD, poly to 0.
max_iters = 80000

train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters, val_interval=8000)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.01, momentum=0.9, weight_decay=4e-5),
)
# lr is for 4 GPUs x 2; --auto-scale-lr scales it linearly with the total batch size.
auto_scale_lr = dict(enable=False, base_batch_size=8)
param_scheduler = [dict(type='PolyLR', power=0.9, eta_min=0, begin=0, end=max_iters, by_epoch=False)]
