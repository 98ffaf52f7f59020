# The paper's table of widths: PP-LCNet-2.5x.
_base_ = [
    '../_base_/models/pplcnet_classifier.py',
    '../_base_/datasets/imagenet_224.py',
    '../_base_/schedules/pplcnet_360e.py',
    '../_base_/runtimes/classification.py',
]

model = dict(backbone=dict(widen_factor=2.5), head=dict(in_channels=1280))
# Source: PPLCNet_x2_5.yaml, the only width with AutoAugment.
optim_wrapper = dict(optimizer=dict(weight_decay=4e-5))
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='UniformAspectRandomResizedCrop', scale=224),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='PaddleAutoAugment', pad_val=128),
    dict(type='PackInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
