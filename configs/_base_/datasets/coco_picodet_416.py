# COCO as in PicoDet's readers, 416x416 (docs/specification/picodet.md#data-pipeline).
_base_ = './coco_picodet_320.py'

from lcnet_mm.detection import set_input_size

set_input_size(_base_, 416)
