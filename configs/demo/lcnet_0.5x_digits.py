# Under ten minutes on two CPU cores: PicoDet of the paper's time, 0.5x, on drawn digits (lcnet demo-data).
_base_ = '../picodet_like/lcnet_0.5x_coco.py'

classes = ('0', '1', '2', '3', '4', '5', '6', '7', '8', '9')
data_root = 'data/digits/'
max_epochs = 26
decay_epochs = 12

model = dict(bbox_head=dict(num_classes=len(classes)))

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    # No flip: a mirrored digit is not a digit. No crop and no distortion: the digits already vary in size and color,
    # and both need more epochs than the demo has.
    dict(type='PackDetInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(288, 288), keep_ratio=False, interpolation='bicubic'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='PackDetInputs', meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')),
]
train_dataloader = dict(
    batch_size=16,
    num_workers=2,
    collate_fn=dict(sizes=[224, 256, 288]),
    dataset=dict(data_root=data_root, metainfo=dict(classes=classes), pipeline=train_pipeline),
)
val_dataloader = dict(
    batch_size=10,
    num_workers=1,
    dataset=dict(data_root=data_root, metainfo=dict(classes=classes), pipeline=test_pipeline),
)
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data_root + 'annotations/instances_val2017.json')
test_evaluator = val_evaluator

train_cfg = dict(max_epochs=max_epochs, val_interval=5)
# From scratch on 1,000 images: a higher learning rate per image than COCO's 0.4 for 512, high for longer, and a larger
# weight decay, both against overfitting; an EMA with a shorter memory.
optim_wrapper = dict(optimizer=dict(lr=0.15, weight_decay=5e-4), clip_grad=dict(max_norm=35))
auto_scale_lr = dict(base_batch_size=16)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=60),
    dict(
        type='CosineAnnealingLR',
        eta_min=0,
        begin=max_epochs - decay_epochs,
        end=max_epochs,
        T_max=decay_epochs,
        by_epoch=True,
        convert_to_iter_based=True,
    ),
]
custom_hooks = [
    dict(type='NumClassCheckHook'),
    dict(type='EMAHook', ema_type='RampedEMA', momentum=0.005, update_buffers=True),
]
default_hooks = dict(channels_last=dict(type='ChannelsLastHook'), logger=dict(interval=20))
randomness = dict(seed=0)
