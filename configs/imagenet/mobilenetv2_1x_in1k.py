# The paper's comparison: MobileNetV2-1x. Recipe: PaddleClas's MobileNetV2.yaml, 4 GPUs.
_base_ = [
    '../_base_/datasets/imagenet_224.py',
    '../_base_/schedules/paddleclas_240e.py',
    '../_base_/runtimes/classification.py',
]

model = dict(
    type='ImageClassifier',
    backbone=dict(type='PaddleMobileNetV2', widen_factor=1.0),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(
        type='LinearClsHead',
        num_classes=1000,
        in_channels=1280,
        loss=dict(type='CrossEntropyLoss', loss_weight=1.0),
        topk=(1, 5),
    ),
)
train_dataloader = dict(batch_size=64)
optim_wrapper = dict(optimizer=dict(lr=0.045, weight_decay=4e-5))
auto_scale_lr = dict(base_batch_size=256)
