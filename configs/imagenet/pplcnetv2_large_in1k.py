# PP-LCNetV2-large of PaddleClas.
_base_ = [
    '../_base_/models/pplcnetv2_classifier.py',
    '../_base_/datasets/imagenet_multi_scale.py',
    '../_base_/schedules/pplcnet_480e.py',
    '../_base_/runtimes/classification.py',
]

model = dict(backbone=dict(arch='large'), head=dict(in_channels=1280))
# Source: PPLCNetV2_large.yaml; the rate and the batch are half of the others.
optim_wrapper = dict(optimizer=dict(lr=0.4))
train_dataloader = dict(batch_size=250)
auto_scale_lr = dict(base_batch_size=1000)
