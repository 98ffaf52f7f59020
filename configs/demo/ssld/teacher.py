# The teacher: 1x on the scans that have a label.
_base_ = './labels.py'

model = dict(backbone=dict(widen_factor=1.0), head=dict(in_channels=512))
