# The paper's ablation: no SE.
_base_ = '../pplcnet_0.5x_in1k.py'

model = dict(backbone=dict(se_blocks='0000000000000'))
