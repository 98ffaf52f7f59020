# PicoDet of the first released generation with PP-LCNet 1.5x, 640x640.
# Source: docs/specification/picodet.md#generation-1-models and docs/specification/picodet.md#schedules.
_base_ = [
    '../_base_/models/picodet_v1.py',
    '../_base_/datasets/coco_picodet_640.py',
    '../_base_/schedules/picodet_300e.py',
    '../_base_/runtimes/detection.py',
]

model = dict(
    backbone=dict(type='PPLCNet', widen_factor=1.5, out_indices=(2, 3, 4)),
    neck=dict(out_channels=160),
)
train_dataloader = dict(batch_size=24)  # per GPU, of 4
optim_wrapper = dict(optimizer=dict(lr=0.2))
auto_scale_lr = dict(base_batch_size=96)
