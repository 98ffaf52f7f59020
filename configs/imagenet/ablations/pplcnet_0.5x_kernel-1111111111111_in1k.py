# The paper's ablation: 5x5 kernels in every block.
_base_ = '../pplcnet_0.5x_in1k.py'

model = dict(backbone=dict(large_kernel_blocks='1111111111111'))
