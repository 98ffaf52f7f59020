# ImageNet-1k and images that lcnet mine selects from a larger pool, here ImageNet-22k; about 1.3 and 4
# million images in the original (docs/specification/pplcnet.md#ssld-recipe). No labels are used.
_base_ = './imagenet_224.py'

train_dataloader = dict(
    batch_size=128,  # per GPU, of 8
    dataset=dict(
        _delete_=True,
        type='ConcatDataset',
        # The list has no class names.
        ignore_keys='classes',
        datasets=[
            dict(type='ImageNet', data_root='data/imagenet/', split='train', pipeline={{_base_.train_pipeline}}),
            dict(
                type='ImageList',
                ann_file='mined.txt',
                data_root='data/imagenet22k/',
                max_unreadable=0.01,
                pipeline={{_base_.train_pipeline}},
            ),
        ],
    ),
)
