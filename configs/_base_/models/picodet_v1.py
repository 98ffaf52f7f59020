# PicoDet's first released generation (release 2.3). Source: PaddleDetection's configs/picodet/legacy_model
# (docs/specification/picodet.md#generation-1, docs/specification/picodet.md#losses).
# Configs set the backbone, and the width of the neck if it is not 128. The neck takes its channels from the backbone,
# and the head from the neck.
num_classes = 80

model = dict(
    type='PicoDet',
    data_preprocessor=dict(
        type='DetDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
    ),
    neck=dict(type='CSPPAN', out_channels=128, kernel_size=5),
    bbox_head=dict(
        type='PicoDetSimOTAHead',
        num_classes=num_classes,
        num_convs=4,
        kernel_size=5,
        strides=[8, 16, 32, 64],
        reg_max=7,
        loss_vfl=dict(
            type='VarifocalLoss', use_sigmoid=True, alpha=0.75, gamma=2.0, iou_weighted=True, loss_weight=1.0
        ),
        loss_bbox=dict(type='GIoULoss', loss_weight=2.0, eps=1e-10),
        loss_dfl=dict(type='DistributionFocalLoss', loss_weight=0.25),
    ),
    train_cfg=dict(
        assigner=dict(type='BatchSimOTAAssigner', center_radius=2.5, candidate_topk=10, iou_weight=6.0, cls_weight=1.0)
    ),
    test_cfg=dict(
        nms_pre=-1,
        score_thr=0.025,
        nms=dict(type='nms', iou_threshold=0.6),
        max_per_img=100,
        min_bbox_size=-1,
    ),
)
