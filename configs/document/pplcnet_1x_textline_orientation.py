# Which way up a line of text is: PP-LCNet 1.0x with 2 classes, 80x160. The strides (2, 1) keep the width of the
# features. Source: PaddleClas's ppcls/configs/PULC/textline_orientation/PPLCNet_x1_0.yaml; PaddleX publishes the
# weights as PP-LCNet_x1_0_textline_ori.
_base_ = [
    '../_base_/models/pplcnet_classifier.py',
    '../_base_/datasets/textline_80x160.py',
    '../_base_/schedules/pplcnet_20e.py',
    '../_base_/runtimes/classification.py',
]

model = dict(
    backbone=dict(strides=(2, (2, 1), (2, 1), (2, 1), (2, 1))),
    head=dict(num_classes=2, loss=dict(_delete_=True, type='CrossEntropyLoss'), topk=(1, 2)),
)
optim_wrapper = dict(optimizer=dict(lr=0.8, weight_decay=4e-5))
