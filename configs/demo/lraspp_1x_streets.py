# LR-ASPP with PP-LCNet-1x on the drawn street scenes; data, schedule and class weights as in lcnet_0.5x_streets.py.
_base_ = [
    '../_base_/models/deeplabv3plus_light.py',
    '../_base_/datasets/cityscapes_1024x512.py',
    '../_base_/schedules/deeplabv3plus_80k.py',
    '../_base_/runtimes/segmentation.py',
]

data_root = 'data/streets/'
max_iters = 1000
crop_size = (192, 320)

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadCheckedAnnotations', num_classes=19),
    dict(type='RandomResize', scale=(512, 256), ratio_range=(0.9, 1.2), keep_ratio=True),
    dict(type='RandomCrop', crop_size=crop_size, cat_max_ratio=1.0),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackSegInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(512, 256), keep_ratio=True),
    dict(type='LoadCheckedAnnotations', num_classes=19),
    dict(type='PackSegInputs'),
]
model = dict(
    data_preprocessor=dict(size=crop_size),
    # Half the strides of Cityscapes: the images have a quarter of its sides.
    backbone=dict(type='PPLCNet', widen_factor=1.0, output_stride=16, out_indices=(1, 2, 4)),
    decode_head=dict(
        _delete_=True,
        type='GlobalLRASPPHead',
        in_index=(0, 1, 2),
        channels=128,
        input_transform='multiple_select',
        dropout_ratio=0.1,
        num_classes=19,
        norm_cfg=dict(type='BN'),
        align_corners=False,
        loss_decode=dict(
            type='ClassWeightedCrossEntropyLoss',
            class_weight=[
                *(0.6, 1.2, 0.7, 1.4, 1.6, 1.5, 1.7, 1.7, 0.9, 1.7),
                *(0.8, 1.7, 1.6, 1.1, 1.0, 1.0, 1.0, 1.7, 1.8),
            ],
        ),
    ),
)
train_dataloader = dict(batch_size=8, num_workers=2, dataset=dict(data_root=data_root, pipeline=train_pipeline))
val_dataloader = dict(batch_size=4, num_workers=1, dataset=dict(data_root=data_root, pipeline=test_pipeline))
test_dataloader = val_dataloader

train_cfg = dict(max_iters=max_iters, val_interval=250)
optim_wrapper = dict(optimizer=dict(_delete_=True, type='AdamW', lr=3e-3, weight_decay=0.02))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, begin=0, end=50, by_epoch=False),
    dict(type='PolyLR', power=0.9, eta_min=0, begin=0, end=max_iters, by_epoch=False),
]
default_hooks = dict(
    channels_last=dict(type='ChannelsLastHook'), logger=dict(interval=20), checkpoint=dict(interval=250)
)
randomness = dict(seed=0)
