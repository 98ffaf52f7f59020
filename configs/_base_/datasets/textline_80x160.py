# Images of lines of text with a list of labels ("PATH LABEL" per line), 80x160 (height x width).
# Source: PaddleClas's ppcls/configs/PULC/textline_orientation/PPLCNet_x1_0.yaml.
_base_ = './document_224.py'

data_root = 'data/textline_orientation/'
metainfo = dict(classes=('0_degree', '180_degree'))

train_pipeline = [
    dict(type='LoadImageFromFile'),
    # Width and height.
    dict(type='Resize', scale=(160, 80), interpolation='bilinear', backend='cv2'),
    dict(
        type='RandAugment',
        policies='timm_increasing',
        num_policies=2,
        total_level=10,
        magnitude_level=9,
        magnitude_std=0.5,
        hparams=dict(pad_val=[104, 116, 124], interpolation='bicubic'),
    ),
    dict(type='PackInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(160, 80), interpolation='bilinear', backend='cv2'),
    dict(type='PackInputs'),
]
train_dataloader = dict(
    num_workers=16,
    dataset=dict(data_root=data_root, metainfo=metainfo, pipeline=train_pipeline),
)
val_dataloader = dict(
    batch_size=128,
    num_workers=8,
    dataset=dict(data_root=data_root, ann_file='val_list.txt', metainfo=metainfo, pipeline=test_pipeline),
)
test_dataloader = val_dataloader
