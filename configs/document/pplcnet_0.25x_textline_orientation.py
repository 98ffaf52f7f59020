# As pplcnet_1x_textline_orientation.py with PP-LCNet 0.25x; PaddleX publishes the weights as PP-
# LCNet_x0_25_textline_ori.
_base_ = './pplcnet_1x_textline_orientation.py'

model = dict(backbone=dict(widen_factor=0.25), head=dict(in_channels=128))
