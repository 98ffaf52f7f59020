# Layout of Chinese documents: PicoDet of the first released generation with PP-LCNet 1.0x, 800x608, 10 classes.
# Source: PaddleDetection's configs/picodet/legacy_model/application/layout_analysis/picodet_lcnet_x1_0_layout.yml; the
# published network layout_cdla.onnx is this one.
_base_ = [
    '../_base_/models/picodet_v1.py',
    '../_base_/datasets/layout_cdla.py',
    '../_base_/schedules/picodet_300e.py',
    '../_base_/runtimes/detection.py',
]

max_epochs = 100

model = dict(
    # PaddleOCR and RapidLayout feed BGR images, with the mean and std that ImageNet has for RGB.
    data_preprocessor=dict(bgr_to_rgb=False),
    backbone=dict(type='PPLCNet', widen_factor=1.0, out_indices=(2, 3, 4)),
    bbox_head=dict(num_classes=10),
    # As in PaddleOCR's and RapidLayout's postprocessing.
    test_cfg=dict(nms=dict(iou_threshold=0.5)),
)
train_cfg = dict(max_epochs=max_epochs, val_interval=1)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=300),
    dict(
        type='CosineAnnealingLR',
        eta_min=0,
        begin=0,
        end=max_epochs,
        T_max=max_epochs,
        by_epoch=True,
        convert_to_iter_based=True,
    ),
]
custom_hooks = [
    dict(type='NumClassCheckHook'),
    dict(type='CyclicEMAHook', cycle_epochs=10, ema_type='RampedEMA', momentum=0.0002, update_buffers=True),
]
# optimizer_100e.yml: 0.4, for 8 GPUs x 24.
auto_scale_lr = dict(base_batch_size=192)
