# The paper's detection table: the MobileNetV3-large-0.75x baseline.
_base_ = './mobilenetv3_large_0.35x_coco.py'

model = dict(backbone=dict(widen_factor=0.75))
