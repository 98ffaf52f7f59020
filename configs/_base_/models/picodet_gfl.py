# PicoDet's first public generation, that of the paper's detection table. Source: PaddleDetection's picodet
# configurations of August and September 2021 (docs/specification/picodet.md#paper-era).
# Configs set the backbone; the neck takes its channels from the backbone, and the head from the neck.
num_classes = 80

model = dict(
    type='PicoDet',
    data_preprocessor=dict(
        type='DetDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
    ),
    neck=dict(type='PAN', out_channels=96),
    bbox_head=dict(
        type='PicoDetGFLHead',
        num_classes=num_classes,
        num_convs=2,
        kernel_size=5,
        strides=[8, 16, 32],
        reg_max=7,
        loss_qfl=dict(type='QualityFocalLoss', beta=2.0, loss_weight=1.0),
        loss_bbox=dict(type='GIoULoss', loss_weight=2.0, eps=1e-10),
        loss_dfl=dict(type='DistributionFocalLoss', loss_weight=0.25),
    ),
    train_cfg=dict(assigner=dict(type='BatchATSSAssigner', topk=9, cell_scale=5.0)),
    test_cfg=dict(
        nms_pre=1000,
        score_thr=0.025,
        nms=dict(type='nms', iou_threshold=0.6),
        max_per_img=100,
        min_bbox_size=-1,
    ),
)
