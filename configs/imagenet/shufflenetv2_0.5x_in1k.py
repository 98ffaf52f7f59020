# The paper's comparison: ShuffleNetV2-0.5x. Recipe: PaddleClas's ShuffleNetV2_x0_5.yaml, 4 GPUs.
_base_ = [
    '../_base_/datasets/imagenet_224.py',
    '../_base_/schedules/paddleclas_240e.py',
    '../_base_/runtimes/classification.py',
]

model = dict(
    type='ImageClassifier',
    backbone=dict(type='ShuffleNetV2', widen_factor=0.5),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(
        type='LinearClsHead',
        num_classes=1000,
        in_channels=1024,
        loss=dict(type='CrossEntropyLoss', loss_weight=1.0),
        topk=(1, 5),
    ),
)
train_dataloader = dict(batch_size=256)
optim_wrapper = dict(optimizer=dict(lr=0.5, weight_decay=3e-5))
auto_scale_lr = dict(base_batch_size=1024)
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-6, begin=0, end=5, by_epoch=True, convert_to_iter_based=True),
    dict(
        type='CosineAnnealingLR',
        eta_min=0,
        begin=5,
        end=240,
        T_max=235,
        by_epoch=True,
        convert_to_iter_based=True,
    ),
]
