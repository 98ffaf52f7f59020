# LR-ASPP with PP-LCNet-1x on the drawn street scenes.
_base_ = [
    '../_base_/models/deeplabv3plus_light.py',
    '../_base_/datasets/streets.py',
    '../_base_/schedules/streets_1000i.py',
    '../_base_/runtimes/segmentation.py',
]

model = dict(
    data_preprocessor=dict(size={{_base_.crop_size}}),
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
        loss_decode=dict(type='ClassWeightedCrossEntropyLoss', class_weight={{_base_.class_weight}}),
    ),
)
default_hooks = dict(
    channels_last=dict(type='ChannelsLastHook'), logger=dict(interval=20), checkpoint=dict(interval=250)
)
