# Logits (N, classes, H, W) at the size of the input.
_base_ = './segmentation.py'

codebase_config = dict(with_argmax=False)
