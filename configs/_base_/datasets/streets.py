# The drawn street scenes of lcnet demo-data --kind streets, a quarter of the sides of Cityscapes.
_base_ = './cityscapes_1024x512.py'

data_root = 'data/streets/'
crop_size = (192, 320)
# (19 x share of the pixels) ** -1/4, so that poles and people are learned in a short training.
class_weight = [
    *(0.6, 1.2, 0.7, 1.4, 1.6, 1.5, 1.7, 1.7, 0.9, 1.7),
    *(0.8, 1.7, 1.6, 1.1, 1.0, 1.0, 1.0, 1.7, 1.8),
]

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadCheckedAnnotations', num_classes=19),
    dict(type='RandomResize', scale=(512, 256), ratio_range=(0.9, 1.2), keep_ratio=True),
    dict(type='RandomCrop', crop_size=crop_size, cat_max_ratio=1.0),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackSegInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(512, 256), keep_ratio=True),
    dict(type='LoadCheckedAnnotations', num_classes=19),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(batch_size=8, num_workers=2, dataset=dict(data_root=data_root, pipeline=train_pipeline))
val_dataloader = dict(batch_size=4, num_workers=1, dataset=dict(data_root=data_root, pipeline=test_pipeline))
test_dataloader = val_dataloader
