# The paper's comparison: MobileNetV3-small-0.35x. Recipe: PaddleClas's MobileNetV3_small_x0_35.yaml, 4 GPUs.
_base_ = [
    '../_base_/models/mobilenetv3_classifier.py',
    '../_base_/datasets/imagenet_224.py',
    '../_base_/schedules/pplcnet_360e.py',
    '../_base_/runtimes/classification.py',
]

model = dict(backbone=dict(arch='small', widen_factor=0.35), head=dict(in_channels=32, expanded_channels=200))
optim_wrapper = dict(optimizer=dict(lr=1.3, weight_decay=1e-5))
