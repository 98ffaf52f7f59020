# The paper's detection table: the MobileNetV3-large-0.35x baseline.
_base_ = [
    '../_base_/models/picodet_gfl.py',
    '../_base_/datasets/coco_picodet_320.py',
    '../_base_/schedules/picodet_300e.py',
    '../_base_/runtimes/detection.py',
]

model = dict(
    # As in PaddleDetection: squeeze widths not rounded, gate slope 0.2, an expansion in every block.
    # The original starts from ImageNet weights: add init_cfg=dict(type='Pretrained', checkpoint=…).
    backbone=dict(
        type='mmengine.MobileNetV3',
        arch='large',
        widen_factor=0.35,
        out_indices=(2, 3, 4),
        se_divisor=1,
        se_gate_slope=0.2,
        always_expand=True,
        norm_cfg=dict(type='BN'),
    ),
)
# PaddleDetection has no weight decay on this backbone (docs/specification/picodet.md#mobilenetv3).
optim_wrapper = dict(paramwise_cfg=dict(custom_keys=dict(backbone=dict(decay_mult=0.0))))
