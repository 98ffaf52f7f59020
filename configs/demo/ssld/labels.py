# The student, trained only on the scans that have a label.
_base_ = '../lcnet_0.5x_scans.py'

model = dict(backbone=dict(widen_factor=0.25), head=dict(in_channels=128))
train_dataloader = dict(dataset=dict(ann_file='meta/labeled.txt'))
