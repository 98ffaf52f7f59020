# The same student, trained on all scans without labels: it learns only from the probabilities of the teacher.
_base_ = '../lcnet_0.5x_scans.py'

model = dict(
    _delete_=True,
    type='SSLDDistiller',
    student=dict(
        type='ImageClassifier',
        backbone=dict(type='PPLCNet', widen_factor=0.25, out_indices=(4,)),
        head=dict(type='LastConvClsHead', num_classes=10, in_channels=128, topk=(1,)),
    ),
    teacher=dict(
        type='ImageClassifier',
        backbone=dict(type='PPLCNet', widen_factor=1.0, out_indices=(4,)),
        head=dict(type='LastConvClsHead', num_classes=10, in_channels=512),
    ),
    teacher_checkpoint='work_dirs/demo_ssld/teacher/seed_0/iter_400.pth',
    teacher_norms='train',
)
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='ConcatDataset',
        ignore_keys='classes',
        datasets=[
            dict(
                type='CustomDataset',
                data_root='data/scans/',
                data_prefix='train',
                ann_file='meta/labeled.txt',
                pipeline={{_base_.train_pipeline}},
            ),
            dict(
                type='ImageList',
                data_root='data/scans/',
                data_prefix='train',
                ann_file='meta/unlabeled.txt',
                pipeline={{_base_.train_pipeline}},
            ),
        ],
    )
)
custom_hooks = [dict(type='UnreadableImagesHook')]
