# The paper's comparison: MobileNetV3-large-0.35x. Recipe: PaddleClas's MobileNetV3_large_x0_35.yaml, 4 GPUs.
_base_ = [
    '../_base_/models/mobilenetv3_classifier.py',
    '../_base_/datasets/imagenet_224.py',
    '../_base_/schedules/pplcnet_360e.py',
    '../_base_/runtimes/classification.py',
]

model = dict(backbone=dict(arch='large', widen_factor=0.35), head=dict(in_channels=56, expanded_channels=336))
optim_wrapper = dict(optimizer=dict(lr=1.3, weight_decay=2e-5))
