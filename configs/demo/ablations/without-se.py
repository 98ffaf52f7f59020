_base_ = '../lcnet_0.5x_scans.py'

model = dict(backbone=dict(se_blocks='0000000000000'))
