# MobileSeg's head on PP-LCNet-0.5x; no published result.
_base_ = [
    '../_base_/models/mobileseg.py',
    '../_base_/datasets/cityscapes_1024x512_strong.py',
    '../_base_/schedules/mobileseg_80k.py',
    '../_base_/runtimes/segmentation.py',
]

model = dict(
    # The original starts from ImageNet weights: add init_cfg=dict(type='Pretrained', checkpoint=…).
    backbone=dict(type='PPLCNet', widen_factor=0.5, out_indices=(2, 3, 4)),
)
