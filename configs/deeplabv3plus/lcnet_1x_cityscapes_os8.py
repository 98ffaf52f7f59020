# Output stride 8: the last two stages dilate instead of striding; PaddleSeg's rates for it.
_base_ = './lcnet_1x_cityscapes.py'

model = dict(backbone=dict(output_stride=8), decode_head=dict(dilations=(1, 12, 24, 36)))
