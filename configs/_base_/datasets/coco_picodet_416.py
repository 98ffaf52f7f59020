# COCO as PicoDet's readers feed it, 416x416 (docs/specification/picodet.md#data-pipeline).
# A copy of this file is the data at another size: only the line of input_size changes.
_base_ = './coco_picodet_320.py'

input_size = 416
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(input_size, input_size), keep_ratio=False, interpolation='bicubic'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='PackDetInputs', meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')),
]
train_dataloader = dict(collate_fn=dict(sizes=[input_size + offset for offset in (-64, -32, 0, 32, 64)]))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
del input_size
