# Class indices (N, 1, H, W), decided at half the input's size and enlarged with the nearest neighbor: between
# segmentation.py and segmentation-argmax-first.py in speed and in outlines. docs/segmentation.md has the differences.
_base_ = './segmentation.py'

codebase_config = dict(argmax_stride=2)
