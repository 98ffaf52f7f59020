# PicoDet-M 416 of release 2.4 with PP-LCNetV2-base instead of PP-LCNet 1.5x; no published result.
_base_ = [
    '../_base_/models/picodet_v2.py',
    '../_base_/datasets/coco_picodet_416.py',
    '../_base_/schedules/picodet_v2_300e.py',
    '../_base_/runtimes/detection.py',
]

model = dict(
    backbone=dict(_delete_=True, type='PPLCNetV2', arch='base', out_indices=(2, 3, 4)),
    neck=dict(out_channels=128),
    bbox_head=dict(num_convs=4),
)
train_dataloader = dict(batch_size=48)  # per GPU, of 4
# Stopped at 250 of the cosine's 300 epochs, as picodet_m_416_coco.py.
train_cfg = dict(max_epochs=250)
