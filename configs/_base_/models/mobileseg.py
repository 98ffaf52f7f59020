# MobileSeg of PaddleSeg (docs/specification/mobileseg.md#head, docs/specification/mobileseg.md#loss).
num_classes = 19

model = dict(
    # Heads without in_channels take them from the backbone, so that its width is one argument.
    type='AdaptiveEncoderDecoder',
    data_preprocessor=dict(
        type='SegDataPreProcessor',
        # PaddleSeg's Normalize: (x / 255 - 0.5) / 0.5.
        mean=[127.5, 127.5, 127.5],
        std=[127.5, 127.5, 127.5],
        bgr_to_rgb=True,
        pad_val=0,
        seg_pad_val=255,
        size=(512, 1024),
    ),
    decode_head=dict(
        type='MobileSegHead',
        # Of the backbone's outputs at strides 8, 16 and 32.
        in_index=(0, 1, 2),
        channels=32,
        context_channels=128,
        bin_sizes=(1, 2, 4),
        fusion_channels=(32, 64, 128),
        num_classes=num_classes,
        norm_cfg=dict(type='BN'),
        align_corners=False,
        # For each of the three outputs.
        loss_decode=dict(type='HardPixelCrossEntropyLoss', thresh=0.7, min_kept=130000),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)
