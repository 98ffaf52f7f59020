# DeepLabV3+ for light backbones. The paper gives no widths. DeepLabV3P of PaddleSeg has the same ones for all
# backbones (ASPP 256, low-level 48, decoder 256), except for 128 ASPP channels and output stride 32 with its light one,
# MobileNetV3-large (legacy/configs/deeplabv3p_mobilenetv3_large_cityscapes.yaml). So here: 128, 48, 128 at stride 32.
num_classes = 19

model = dict(
    # Heads take their in_channels from the backbone, so that widen_factor alone sets the width.
    type='AdaptiveEncoderDecoder',
    data_preprocessor=dict(
        type='SegDataPreProcessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_val=0,
        seg_pad_val=255,
        size=(512, 1024),
    ),
    decode_head=dict(
        type='DepthwiseSeparableASPPHead',
        in_index=-1,
        channels=128,
        c1_channels=48,
        # PaddleSeg's rates for output stride 16 are 1, 6, 12, 18; half the resolution needs half the rates.
        dilations=(1, 3, 6, 9),
        dropout_ratio=0.1,
        num_classes=num_classes,
        norm_cfg=dict(type='BN'),
        align_corners=False,
        # PaddleSeg averages over the pixels that are not ignored.
        loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)
