_base_ = '../lcnet_0.5x_scans.py'

model = dict(backbone=dict(act_cfg=dict(type='ReLU')), head=dict(act_cfg=dict(type='ReLU')))
