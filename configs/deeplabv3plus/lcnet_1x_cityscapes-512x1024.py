# For quick training: half the resolution, 1024x512, and a quarter of the iterations with four times the batch size.
_base_ = './lcnet_1x_cityscapes.py'

max_iters = 20000

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadCheckedAnnotations', num_classes=19),
    dict(
        type='RandomChoiceResize',
        scales=[(256 * quarters, 128 * quarters) for quarters in range(2, 9)],
        resize_type='Resize',
        keep_ratio=True,
    ),
    dict(type='RandomCrop', crop_size=(256, 512), cat_max_ratio=1.0),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion', contrast_range=(0.6, 1.4), saturation_range=(0.6, 1.4), hue_delta=18),
    dict(type='PackSegInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(1024, 512), keep_ratio=True),
    dict(type='LoadCheckedAnnotations', num_classes=19),
    dict(type='PackSegInputs'),
]
model = dict(data_preprocessor=dict(size=(256, 512)))
train_dataloader = dict(batch_size=8, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader

train_cfg = dict(max_iters=max_iters, val_interval=2000)
optim_wrapper = dict(optimizer=dict(lr=0.04))
auto_scale_lr = dict(base_batch_size=32)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, begin=0, end=500, by_epoch=False),
    dict(type='PolyLR', power=0.9, eta_min=0, begin=0, end=max_iters, by_epoch=False),
]
default_hooks = dict(checkpoint=dict(interval=2000))
