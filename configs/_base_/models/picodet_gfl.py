# The detector of the paper's table: PicoDet's first public generation. Source: PaddleDetection's picodet configurations
# of August and September 2021 (docs/specification/picodet.md#paper-era).
# A config names the backbone and the neck's in_channels.
num_classes = 80
neck_channels = 96

model = dict(
    type='GFL',
    data_preprocessor=dict(
        type='DetDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
    ),
    neck=dict(type='PAN', out_channels=neck_channels),
    bbox_head=dict(
        type='PicoDetGFLHead',
        num_classes=num_classes,
        in_channels=neck_channels,
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
