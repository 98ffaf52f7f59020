# Not in the paper: its DeepLabV3+ on PP-LCNetV2-base; no published result.
_base_ = [
    '../_base_/models/deeplabv3plus_light.py',
    '../_base_/datasets/cityscapes_1024x512.py',
    '../_base_/schedules/deeplabv3plus_80k.py',
    '../_base_/runtimes/segmentation.py',
]

model = dict(
    # The others start from ImageNet weights: add init_cfg=dict(type='Pretrained', checkpoint=…).
    backbone=dict(type='PPLCNetV2', arch='base', out_indices=(1, 4)),
)
