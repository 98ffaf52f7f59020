# PicoDet-M 416, second generation: PP-LCNet 1.5x.
# Source: docs/specification/picodet.md#variants and docs/specification/picodet.md#schedules.
_base_ = [
    '../_base_/models/picodet_v2.py',
    '../_base_/datasets/coco_picodet_416.py',
    '../_base_/schedules/picodet_v2_300e.py',
    '../_base_/runtimes/detection.py',
]

model = dict(
    backbone=dict(widen_factor=1.5),
    neck=dict(out_channels=128),
    bbox_head=dict(num_convs=4),
)
train_dataloader = dict(batch_size=48)  # per GPU, of 4
# Stopped at 250 of the cosine's 300 epochs, as the published weights were.
train_cfg = dict(max_epochs=250)
