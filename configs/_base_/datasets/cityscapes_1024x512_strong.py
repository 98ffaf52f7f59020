# Cityscapes as PaddleSeg's MobileSeg configs feed it: four images per GPU, colors changed by half instead of 0.4.
_base_ = './cityscapes_1024x512.py'

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadCheckedAnnotations', num_classes=19),
    # ResizeStepScaling: 0.5 to 2.0 in steps of 0.25.
    dict(
        type='RandomChoiceResize',
        scales=[(512 * quarters, 256 * quarters) for quarters in range(2, 9)],
        resize_type='Resize',
        keep_ratio=True,
    ),
    dict(type='RandomCrop', crop_size=(512, 1024), cat_max_ratio=1.0),
    dict(type='RandomFlip', prob=0.5),
    # RandomDistort with 0.5; mmseg's brightness is a shift instead of a factor.
    dict(type='PhotoMetricDistortion', contrast_range=(0.5, 1.5), saturation_range=(0.5, 1.5), hue_delta=18),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(batch_size=4, dataset=dict(pipeline=train_pipeline))
