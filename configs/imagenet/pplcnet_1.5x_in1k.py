# The paper's table of widths: PP-LCNet-1.5x.
_base_ = [
    '../_base_/models/pplcnet_classifier.py',
    '../_base_/datasets/imagenet_224.py',
    '../_base_/schedules/pplcnet_360e.py',
    '../_base_/runtimes/classification.py',
]

model = dict(backbone=dict(widen_factor=1.5), head=dict(in_channels=768))
# Source: PPLCNet_x1_5.yaml.
optim_wrapper = dict(optimizer=dict(weight_decay=4e-5))
