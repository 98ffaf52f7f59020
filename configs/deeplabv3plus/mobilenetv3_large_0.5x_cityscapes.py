# The paper's segmentation table: the MobileNetV3-large-0.5x baseline.
_base_ = [
    '../_base_/models/deeplabv3plus_light.py',
    '../_base_/datasets/cityscapes_1024x512.py',
    '../_base_/schedules/deeplabv3plus_80k.py',
    '../_base_/runtimes/segmentation.py',
]

model = dict(
    # As in PaddleClas: squeeze widths not rounded, gate slope 0.2, an expansion in every block.
    # The original starts from ImageNet weights: add init_cfg=dict(type='Pretrained', checkpoint=…).
    backbone=dict(
        type='mmengine.MobileNetV3',
        arch='large',
        widen_factor=0.5,
        out_indices=(1, 4),
        se_divisor=1,
        se_gate_slope=0.2,
        always_expand=True,
        norm_cfg=dict(type='BN'),
    ),
)
