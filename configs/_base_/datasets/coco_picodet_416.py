# COCO as PicoDet's readers feed it, 416x416 (docs/specification/picodet.md#data-pipeline).
_base_ = './coco_picodet_320.py'

test_size = (416, 416)
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=test_size, keep_ratio=False, interpolation='bicubic'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='PackDetInputs', meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')),
]
train_dataloader = dict(collate_fn=dict(sizes=[352, 384, 416, 448, 480]))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
