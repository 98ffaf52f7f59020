# The paper's ablation: 5x5 kernels in blocks 1 to 7.
_base_ = '../pplcnet_0.5x_in1k.py'

model = dict(backbone=dict(large_kernel_blocks='1111111000000'))
