# The paper's comparison: MobileNetV2-0.25x. Recipe: PaddleClas's MobileNetV2_x0_25.yaml, 4 GPUs.
_base_ = './mobilenetv2_1x_in1k.py'

model = dict(backbone=dict(widen_factor=0.25))
optim_wrapper = dict(optimizer=dict(weight_decay=3e-5))
