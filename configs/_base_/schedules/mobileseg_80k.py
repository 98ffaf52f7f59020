# Source: docs/specification/mobileseg.md#recipe: 80,000 iterations, 4 GPUs x 4 images, SGD.
max_iters = 80000
warmup_iters = 1000

train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters, val_interval=8000)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.005, momentum=0.9, weight_decay=5e-4),
    # The norms of the backbone are not decayed, those of the head are; the longer key is looked up first.
    paramwise_cfg=dict(custom_keys={'.bn.': dict(decay_mult=0.0), 'decode_head.': dict(decay_mult=1.0)}),
)
# lr is for 4 GPUs x 4; --auto-scale-lr scales it linearly with the total batch size.
auto_scale_lr = dict(enable=False, base_batch_size=16)
param_scheduler = [
    # From 1e-5.
    dict(type='LinearLR', start_factor=0.002, begin=0, end=warmup_iters, by_epoch=False),
    dict(type='PolyLR', power=0.9, eta_min=0, begin=warmup_iters, end=max_iters, by_epoch=False),
]
