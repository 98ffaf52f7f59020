# The paper's table of widths: PP-LCNet-1x.
_base_ = [
    '../_base_/models/pplcnet_classifier.py',
    '../_base_/datasets/imagenet_224.py',
    '../_base_/schedules/pplcnet_360e.py',
    '../_base_/runtimes/classification.py',
]

model = dict(backbone=dict(widen_factor=1.0), head=dict(in_channels=512))
