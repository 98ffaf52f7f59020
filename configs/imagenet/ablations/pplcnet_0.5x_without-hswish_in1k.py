# The paper's ablation: ReLU instead of h-swish.
_base_ = '../pplcnet_0.5x_in1k.py'

model = dict(backbone=dict(act_cfg=dict(type='ReLU')), head=dict(act_cfg=dict(type='ReLU')))
