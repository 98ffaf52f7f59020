# PicoDet's second generation (release 2.4). Source: PaddleDetection's configs/picodet/_base_/picodet_v2.yml
# (docs/specification/picodet.md#generation-2, docs/specification/picodet.md#losses).
# Configs set the widths of backbone and neck and the depth of the head. The neck takes its channels from the backbone,
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
    backbone=dict(type='PPLCNet', out_indices=(2, 3, 4)),
    neck=dict(type='LCPAN', kernel_size=5),
    bbox_head=dict(
        type='PicoDetAlignedHead',
        num_classes=num_classes,
        kernel_size=5,
        strides=[8, 16, 32, 64],
        reg_max=7,
        loss_vfl=dict(type='ProbabilityVarifocalLoss', alpha=0.75, gamma=2.0, loss_weight=1.0),
        loss_bbox=dict(type='GIoULoss', loss_weight=2.5, eps=1e-10),
        loss_dfl=dict(type='DistributionFocalLoss', loss_weight=0.5),
    ),
    train_cfg=dict(
        # ATSS in epochs 0 to 99, whatever the total.
        initial_epoch=100,
        initial_assigner=dict(
            type='BatchATSSAssigner',
            topk=9,
            cell_scale=5.0,
            inclusive=False,
            unbiased=True,
            inside_margin=1e-9,
            conflicts='all',
        ),
        assigner=dict(type='BatchTaskAlignedAssigner', topk=13, alpha=1.0, beta=6.0),
    ),
    test_cfg=dict(
        nms_pre=-1,
        score_thr=0.025,
        nms=dict(type='nms', iou_threshold=0.6),
        max_per_img=100,
        min_bbox_size=-1,
    ),
)
