# Not in the paper: MobileNetV3's LR-ASPP head on PP-LCNet, at output stride 16.
_base_ = './lcnet_1x_cityscapes.py'

model = dict(
    backbone=dict(out_indices=(0, 1, 4), output_stride=16),
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
