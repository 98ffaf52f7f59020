_base_ = '../lcnet_0.5x_scans.py'

model = dict(head=dict(last_conv_channels=None))
