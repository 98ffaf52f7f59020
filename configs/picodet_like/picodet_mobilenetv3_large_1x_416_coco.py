# PicoDet of the first released generation with MobileNetV3-large 1.0x, 416x416.
# Source: docs/specification/picodet.md#generation-1-models and docs/specification/picodet.md#schedules.
_base_ = [
    '../_base_/models/picodet_v1.py',
    '../_base_/datasets/coco_picodet_416.py',
    '../_base_/schedules/picodet_300e.py',
    '../_base_/runtimes/detection.py',
]

model = dict(
    # As in PaddleDetection: squeeze widths not rounded, gate slope 0.2, an expansion in every block.
    backbone=dict(
        type='mmengine.MobileNetV3',
        arch='large',
        widen_factor=1.0,
        out_indices=(2, 3, 4),
        se_divisor=1,
        se_gate_slope=0.2,
        always_expand=True,
        norm_cfg=dict(type='BN'),
    ),
)
train_dataloader = dict(batch_size=56)  # per GPU, of 4
optim_wrapper = dict(
    optimizer=dict(lr=0.3),
    # PaddleDetection has no weight decay on this backbone (docs/specification/picodet.md#mobilenetv3).
    paramwise_cfg=dict(custom_keys=dict(backbone=dict(decay_mult=0.0))),
)
auto_scale_lr = dict(base_batch_size=224)
# Stopped at 180 of the cosine's 300 epochs, as the published weights were.
train_cfg = dict(max_epochs=180)
