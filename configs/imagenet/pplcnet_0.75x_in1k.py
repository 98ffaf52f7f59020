# The paper's table of widths: PP-LCNet-0.75x.
_base_ = [
    '../_base_/models/pplcnet_classifier.py',
    '../_base_/datasets/imagenet_224.py',
    '../_base_/schedules/pplcnet_360e.py',
    '../_base_/runtimes/classification.py',
]

model = dict(backbone=dict(widen_factor=0.75), head=dict(in_channels=384))
