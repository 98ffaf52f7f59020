# The paper's ablation: SE in blocks 1 and 2.
_base_ = '../pplcnet_0.5x_in1k.py'

model = dict(backbone=dict(se_blocks='1100000000000'))
