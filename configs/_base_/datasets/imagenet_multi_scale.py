# ImageNet-1k as PaddleClas's PPLCNetV2_base.yaml feeds it: each batch has one of five sizes, and so many images that
# its pixels are those of 500 images of 160x160; validation as for PP-LCNet.
_base_ = './imagenet_224.py'

train_pipeline = [
    dict(type='LoadImageFromFile'),
    # RandCropImage at the size of the batch.
    dict(type='MultiScaleRandomResizedCrop'),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='PackInputs'),
]
train_dataloader = dict(
    batch_size=500,  # per GPU, of 4, at the first scale
    batch_sampler=dict(type='MultiScaleBatchSampler', scales=(160, 192, 224, 288, 320)),
    dataset=dict(pipeline=train_pipeline),
)
