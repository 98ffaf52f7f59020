# MobileSeg as PaddleSeg publishes it, on MobileNetV3-large.
_base_ = [
    '../_base_/models/mobileseg.py',
    '../_base_/datasets/cityscapes_1024x512_strong.py',
    '../_base_/schedules/mobileseg_80k.py',
    '../_base_/runtimes/segmentation.py',
]

model = dict(
    # As PaddleClas builds it: squeeze widths not rounded, gate slope 0.2, an expansion in every block.
    # The original starts from ImageNet weights: add init_cfg=dict(type='Pretrained', checkpoint=…).
    backbone=dict(
        type='mmengine.MobileNetV3',
        arch='large',
        out_indices=(2, 3, 4),
        se_divisor=1,
        se_gate_slope=0.2,
        always_expand=True,
        norm_cfg=dict(type='BN'),
    ),
)
