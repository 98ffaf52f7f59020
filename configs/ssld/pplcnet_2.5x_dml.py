# Deep mutual learning of two PP-LCNet-2.5x from scratch, with labels. Source: PPLCNet_x2_5_dml.yaml (76.68 % there).
_base_ = [
    '../_base_/models/pplcnet_ssld.py',
    '../_base_/datasets/imagenet_224.py',
    '../_base_/schedules/pplcnet_100e.py',
    '../_base_/runtimes/classification.py',
]

model = dict(
    student=dict(backbone=dict(widen_factor=2.5), head=dict(in_channels=1280)),
    teacher=dict(
        _delete_=True,
        type='ImageClassifier',
        backbone=dict(type='PPLCNet', widen_factor=2.5, out_indices=(4,)),
        head=dict(
            type='LastConvClsHead',
            num_classes=1000,
            in_channels=1280,
            last_conv_channels=1280,
            act_cfg=dict(type='HSwish'),
            dropout=0.2,
        ),
    ),
    teacher_checkpoint=None,
    mutual=True,
    label_loss_weight=1.0,
)
train_dataloader = dict(batch_size=128)  # per GPU, of 4
