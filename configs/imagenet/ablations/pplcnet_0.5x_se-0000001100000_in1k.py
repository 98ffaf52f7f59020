# The paper's ablation: SE in blocks 7 and 8.
_base_ = '../pplcnet_0.5x_in1k.py'

model = dict(backbone=dict(se_blocks='0000001100000'))
