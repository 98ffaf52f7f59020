# MobileSeg with PP-LCNet-1x on the drawn street scenes, beside lcnet_0.5x_streets.py.
_base_ = './lcnet_0.5x_streets.py'

model = dict(
    # Half the strides of Cityscapes, as there: 4, 8 and 16.
    backbone=dict(widen_factor=1.0, output_stride=16, out_indices=(1, 2, 4)),
    decode_head=dict(
        _delete_=True,
        type='MobileSegHead',
        in_index=(0, 1, 2),
        channels=32,
        context_channels=128,
        bin_sizes=(1, 2, 4),
        fusion_channels=(32, 64, 128),
        num_classes=19,
        norm_cfg=dict(type='BN'),
        align_corners=False,
        loss_decode={{_base_.model.decode_head.loss_decode}},
    ),
)
