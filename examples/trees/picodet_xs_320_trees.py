# PicoDet-XS on tiles of aerial photographs, from scratch on two CPU cores; trees.py makes the data.
_base_ = '../../configs/picodet_like/picodet_xs_320_coco.py'

classes = ('tree',)
data_root = 'data/trees/'
max_epochs = 30

model = dict(
    bbox_head=dict(num_classes=len(classes)),
    train_cfg=dict(initial_epoch=max_epochs // 4),
)

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='PaddleRandomCrop'),
    # Seen from above, a tree has no top and no bottom.
    dict(type='RandomFlip', prob=[0.25, 0.25, 0.25], direction=['horizontal', 'vertical', 'diagonal']),
    dict(type='PaddleDistort'),
    dict(type='PackDetInputs'),
]
train_dataloader = dict(
    batch_size=8,
    num_workers=2,
    collate_fn=dict(sizes=[224, 256, 288, 320]),
    dataset=dict(data_root=data_root, metainfo=dict(classes=classes), pipeline=train_pipeline),
)
val_dataloader = dict(batch_size=8, num_workers=1, dataset=dict(data_root=data_root, metainfo=dict(classes=classes)))
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data_root + 'annotations/instances_val2017.json')
test_evaluator = val_evaluator

train_cfg = dict(max_epochs=max_epochs, val_interval=10)
# A higher learning rate per image than COCO's, and a larger weight decay against overfitting, as in the demo of digits.
optim_wrapper = dict(optimizer=dict(lr=0.08, weight_decay=5e-4), clip_grad=dict(max_norm=35))
auto_scale_lr = dict(enable=False, base_batch_size=8)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=60),
    dict(
        type='CosineAnnealingLR',
        eta_min=0,
        begin=max_epochs // 2,
        end=max_epochs,
        T_max=max_epochs // 2,
        by_epoch=True,
        convert_to_iter_based=True,
    ),
]
custom_hooks = [
    dict(type='NumClassCheckHook'),
    dict(type='SetEpochInfoHook'),
    dict(type='EMAHook', ema_type='RampedEMA', momentum=0.005, update_buffers=True),
]
default_hooks = dict(channels_last=dict(type='ChannelsLastHook'), logger=dict(interval=10))
randomness = dict(seed=0)
