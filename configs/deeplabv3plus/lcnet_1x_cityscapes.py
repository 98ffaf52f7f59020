# The paper's segmentation table: PP-LCNet-1x.
_base_ = [
    '../_base_/models/deeplabv3plus_light.py',
    '../_base_/datasets/cityscapes_1024x512.py',
    '../_base_/schedules/deeplabv3plus_80k.py',
    '../_base_/runtimes/segmentation.py',
]

model = dict(
    # The original starts from ImageNet weights: add init_cfg=dict(type='Pretrained', checkpoint=…).
    backbone=dict(type='PPLCNet', widen_factor=1.0, out_indices=(1, 4)),
)
