# The paper's comparison: MobileNetV1-1x. Recipe: PaddleClas's MobileNetV1.yaml, 4 GPUs.
_base_ = [
    '../_base_/datasets/imagenet_224.py',
    '../_base_/schedules/paddleclas_240e.py',
    '../_base_/runtimes/classification.py',
]

# The network of timm.
model = dict(
    type='TimmClassifier',
    model_name='mobilenetv1_100',
    pretrained=False,
    num_classes=1000,
    loss=dict(type='CrossEntropyLoss', loss_weight=1.0),
)
train_dataloader = dict(batch_size=64)
train_cfg = dict(max_epochs=120)
optim_wrapper = dict(optimizer=dict(lr=0.1, weight_decay=3e-5))
auto_scale_lr = dict(base_batch_size=256)
param_scheduler = [dict(type='MultiStepLR', milestones=[30, 60, 90], gamma=0.1, by_epoch=True)]
