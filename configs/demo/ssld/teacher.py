# The teacher: PP-LCNet-1x, trained on the scans that have a label.
_base_ = '../lcnet_0.5x_scans.py'

model = dict(backbone=dict(widen_factor=1.0), head=dict(in_channels=512))
train_dataloader = dict(dataset=dict(ann_file='meta/labeled.txt'))
