# PP-LCNetV2-small of PaddleClas.
_base_ = [
    '../_base_/models/pplcnetv2_classifier.py',
    '../_base_/datasets/imagenet_multi_scale.py',
    '../_base_/schedules/pplcnet_480e.py',
    '../_base_/runtimes/classification.py',
]

model = dict(backbone=dict(arch='small'), head=dict(in_channels=768))
# Source: PPLCNetV2_small.yaml.
optim_wrapper = dict(optimizer=dict(weight_decay=2e-5))
