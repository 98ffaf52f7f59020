# The paper's comparison: MobileNetV3-small-1.25x. Recipe: PaddleClas's MobileNetV3_small_x1_25.yaml, 4 GPUs.
_base_ = [
    '../_base_/models/mobilenetv3_classifier.py',
    '../_base_/datasets/imagenet_224.py',
    '../_base_/schedules/pplcnet_360e.py',
    '../_base_/runtimes/classification.py',
]

model = dict(backbone=dict(arch='small', widen_factor=1.25), head=dict(in_channels=120, expanded_channels=720))
optim_wrapper = dict(optimizer=dict(lr=1.3, weight_decay=2e-5))
