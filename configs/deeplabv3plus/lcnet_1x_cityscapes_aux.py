# With an auxiliary FCN head on stride 16, as in mmseg's deeplabv3plus; it is not exported.
_base_ = './lcnet_1x_cityscapes.py'

model = dict(
    backbone=dict(out_indices=(1, 3, 4)),
    auxiliary_head=dict(
        type='FCNHead',
        in_index=1,
        channels=64,
        num_convs=1,
        concat_input=False,
        dropout_ratio=0.1,
        num_classes=19,
        norm_cfg=dict(type='BN'),
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True, loss_weight=0.4),
    ),
)
