# The paper's ablation: SE in every block.
_base_ = '../pplcnet_0.5x_in1k.py'

model = dict(backbone=dict(se_blocks='1111111111111'))
