# Class indices (N, 1, H, W), computed at the resolution of the head and resized by nearest neighbor: faster, with
# coarser outlines. docs/segmentation.md has the measured difference.
_base_ = './segmentation.py'

codebase_config = dict(argmax_first=True)
