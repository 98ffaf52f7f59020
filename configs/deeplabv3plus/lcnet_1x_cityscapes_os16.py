# Output stride 16: the last stage has dilation instead of a stride; the rates are those of PaddleSeg.
_base_ = './lcnet_1x_cityscapes.py'

model = dict(backbone=dict(output_stride=16), decode_head=dict(dilations=(1, 6, 12, 18)))
