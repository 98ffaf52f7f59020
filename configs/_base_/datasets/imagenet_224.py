# ImageNet-1k as in PaddleClas's PP-LCNet configs, 224x224 (docs/specification/pplcnet.md#imagenet-recipe).
# Expected in data/imagenet:
# train/CLASS/*.JPEG, and either val/CLASS/*.JPEG, or val/*.JPEG with meta/val.txt ("NAME LABEL" per line).
dataset_type = 'ImageNet'
data_root = 'data/imagenet/'

# Source: 1/255 (0.485, 0.456, 0.406) and (0.229, 0.224, 0.225) in PaddleClas, here in units of 0 to 255.
data_preprocessor = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True)

train_pipeline = [
    dict(type='LoadImageFromFile'),
    # RandCropImage: area 0.08 to 1, aspect ratio uniform between 3/4 and 4/3, OpenCV's bilinear kernel.
    dict(type='UniformAspectRandomResizedCrop', scale=224),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='PackInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    # ResizeImage and CropImage; for odd sides, their crop may be shifted by one pixel.
    dict(type='ResizeEdge', scale=256, edge='short', interpolation='bilinear', backend='cv2'),
    dict(type='CenterCrop', crop_size=224),
    dict(type='PackInputs'),
]
train_dataloader = dict(
    batch_size=512,  # per GPU, of 4
    num_workers=8,
    persistent_workers=True,
    # drop_last False: 626 iterations an epoch.
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(type=dataset_type, data_root=data_root, split='train', pipeline=train_pipeline),
)
val_dataloader = dict(
    batch_size=64,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type=dataset_type, data_root=data_root, split='val', pipeline=test_pipeline),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='Accuracy', topk=(1, 5))
test_evaluator = val_evaluator
