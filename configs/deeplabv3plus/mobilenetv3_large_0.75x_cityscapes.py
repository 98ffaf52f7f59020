# The paper's segmentation table: the MobileNetV3-large-0.75x baseline.
_base_ = './mobilenetv3_large_0.5x_cityscapes.py'

model = dict(backbone=dict(widen_factor=0.75))
