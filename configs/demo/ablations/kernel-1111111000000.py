_base_ = '../lcnet_0.5x_scans.py'

model = dict(backbone=dict(large_kernel_blocks='1111111000000'))
