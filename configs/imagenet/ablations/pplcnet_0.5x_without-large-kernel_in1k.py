# The paper's ablation: 3x3 kernels only.
_base_ = '../pplcnet_0.5x_in1k.py'

model = dict(backbone=dict(large_kernel_blocks='0000000000000'))
