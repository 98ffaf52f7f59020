# Output stride 16: the last stage dilates instead of striding; PaddleSeg's rates for it.
_base_ = './lcnet_1x_cityscapes.py'

model = dict(backbone=dict(output_stride=16), decode_head=dict(dilations=(1, 6, 12, 18)))
