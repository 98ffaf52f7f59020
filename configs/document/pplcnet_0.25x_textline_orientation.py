# As pplcnet_1x_textline_orientation.py with PP-LCNet 0.25x; PaddleX publishes the weights as PP-
# LCNet_x0_25_textline_ori.
_base_ = [
    '../_base_/models/pplcnet_classifier.py',
    '../_base_/datasets/textline_80x160.py',
    '../_base_/schedules/pplcnet_20e.py',
    '../_base_/runtimes/classification.py',
]

model = dict(
    backbone=dict(widen_factor=0.25, strides=(2, (2, 1), (2, 1), (2, 1), (2, 1))),
    head=dict(num_classes=2, in_channels=128, loss=dict(_delete_=True, type='CrossEntropyLoss'), topk=(1, 2)),
)
optim_wrapper = dict(optimizer=dict(lr=0.8, weight_decay=4e-5))
