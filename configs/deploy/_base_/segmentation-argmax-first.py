# Class indices (N, 1, H, W), decided at the head's resolution and enlarged with the nearest neighbor: faster, with
# coarser outlines. docs/segmentation.md has the measured difference.
_base_ = './segmentation.py'

codebase_config = dict(argmax_first=True)
