# LR-ASPP with PP-LCNet-1x on the drawn street scenes, in the time of lcnet_0.5x_streets.py or less.
_base_ = './lcnet_0.5x_streets.py'

model = dict(
    backbone=dict(widen_factor=1.0, out_indices=(1, 2, 4)),
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
        loss_decode={{_base_.model.decode_head.loss_decode}},
    ),
)
