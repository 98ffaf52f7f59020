# Not in the paper: MobileNetV3's LR-ASPP head on PP-LCNet at output stride 16, with features of strides 4 and 8 instead
# of 2 and 4 as in mmseg's configs: at 512x1024 it takes 0.92 instead of 1.62 of DeepLabV3+'s time (docs/latency.md).
_base_ = './lcnet_1x_cityscapes.py'

model = dict(
    backbone=dict(out_indices=(1, 2, 4), output_stride=16),
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
        loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True),
    ),
)
