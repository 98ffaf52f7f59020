# COCO as in PicoDet's readers, 320x320. Source: PaddleDetection's picodet_320_reader.yml of 6 September 2021 (the
# version of 27 August had no multi-scale). The docstring of each transform says how it differs from that of mmdet.
dataset_type = 'CocoDataset'
data_root = 'data/coco/'
input_size = 320

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='PaddleRandomCrop'),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PaddleDistort'),
    dict(type='PackDetInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    # Without keeping the aspect ratio, with OpenCV's cubic kernel (the reader's interp 2).
    dict(type='Resize', scale=(input_size, input_size), keep_ratio=False, interpolation='bicubic'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='PackDetInputs', meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')),
]
train_dataloader = dict(
    batch_size=128,  # per GPU, of 4
    num_workers=8,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    # Each batch has one of five sizes, as in all readers.
    collate_fn=dict(type='resize_collate', sizes=[input_size + offset for offset in (-64, -32, 0, 32, 64)]),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file='annotations/instances_train2017.json',
        data_prefix=dict(img='train2017/'),
        # Images without boxes are dropped, small images are not.
        filter_cfg=dict(filter_empty_gt=True, min_size=0),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=8,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file='annotations/instances_val2017.json',
        data_prefix=dict(img='val2017/'),
        test_mode=True,
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader

val_evaluator = dict(type='CocoMetric', ann_file=data_root + 'annotations/instances_val2017.json', metric='bbox')
test_evaluator = val_evaluator

# Not part of the config: other configs change the size with lcnet_mm.detection.set_input_size.
del input_size
