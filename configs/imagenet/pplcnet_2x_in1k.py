# The paper's table of widths: PP-LCNet-2x.
_base_ = [
    '../_base_/models/pplcnet_classifier.py',
    '../_base_/datasets/imagenet_224.py',
    '../_base_/schedules/pplcnet_360e.py',
    '../_base_/runtimes/classification.py',
]

model = dict(backbone=dict(widen_factor=2.0), head=dict(in_channels=1024))
# Source: PPLCNet_x2_0.yaml.
optim_wrapper = dict(optimizer=dict(weight_decay=4e-5))
