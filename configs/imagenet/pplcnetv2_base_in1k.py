# PP-LCNetV2-base of PaddleClas.
_base_ = [
    '../_base_/models/pplcnetv2_classifier.py',
    '../_base_/datasets/imagenet_multi_scale.py',
    '../_base_/schedules/pplcnet_480e.py',
    '../_base_/runtimes/classification.py',
]

model = dict(backbone=dict(arch='base'), head=dict(in_channels=1024))
