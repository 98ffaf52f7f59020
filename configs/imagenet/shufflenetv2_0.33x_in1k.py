# The paper's comparison: ShuffleNetV2-0.33x. Recipe: PaddleClas's ShuffleNetV2_x0_33.yaml, 4 GPUs.
_base_ = './shufflenetv2_0.5x_in1k.py'

model = dict(backbone=dict(type='NarrowShuffleNetV2', widen_factor=0.33), head=dict(in_channels=512))
