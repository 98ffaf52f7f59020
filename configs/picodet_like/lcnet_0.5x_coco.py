# The paper's detection table: PP-LCNet-0.5x.
_base_ = [
    '../_base_/models/picodet_gfl.py',
    '../_base_/datasets/coco_picodet_320.py',
    '../_base_/schedules/picodet_300e.py',
    '../_base_/runtimes/detection.py',
]

model = dict(
    # The original starts from ImageNet weights: add init_cfg=dict(type='Pretrained', checkpoint=…).
    backbone=dict(type='PPLCNet', widen_factor=0.5, out_indices=(2, 3, 4)),
)
