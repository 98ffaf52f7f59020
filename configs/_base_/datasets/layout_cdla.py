# Chinese document layout (CDLA) in COCO's form, 800x608 (height x width). Source: PaddleDetection's
# configs/picodet/legacy_model/application/layout_analysis/picodet_lcnet_x1_0_layout.yml, with the ten classes that the
# published network names in its metadata.
dataset_type = 'CocoDataset'
data_root = 'data/cdla/'
metainfo = dict(
    classes=(
        'text',
        'title',
        'figure',
        'figure_caption',
        'table',
        'table_caption',
        'header',
        'footer',
        'reference',
        'equation',
    )
)

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
    # Width and height; the reader's interp 2 is OpenCV's cubic kernel.
    dict(type='Resize', scale=(608, 800), keep_ratio=False, interpolation='bicubic'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='PackDetInputs', meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')),
]
train_dataloader = dict(
    batch_size=24,  # per GPU
    num_workers=8,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    # Width and height.
    collate_fn=dict(type='resize_collate', sizes=[(576, 768), (608, 800), (640, 832)]),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file='train.json',
        data_prefix=dict(img='train/'),
        metainfo=metainfo,
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
        ann_file='val.json',
        data_prefix=dict(img='val/'),
        metainfo=metainfo,
        test_mode=True,
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader

val_evaluator = dict(type='CocoMetric', ann_file=data_root + 'val.json', metric='bbox')
test_evaluator = val_evaluator
