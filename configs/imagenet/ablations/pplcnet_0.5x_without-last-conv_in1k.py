# The paper's ablation: the classifier directly after the pooling.
_base_ = '../pplcnet_0.5x_in1k.py'

model = dict(head=dict(last_conv_channels=None))
