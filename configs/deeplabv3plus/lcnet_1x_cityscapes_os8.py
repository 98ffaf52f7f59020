# Output stride 8: the last two stages have dilation instead of a stride; the rates are those of PaddleSeg.
_base_ = './lcnet_1x_cityscapes.py'

model = dict(backbone=dict(output_stride=8), decode_head=dict(dilations=(1, 12, 24, 36)))
