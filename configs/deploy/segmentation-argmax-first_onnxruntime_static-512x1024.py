# Class indices (N, 1, H, W), decided at the head's resolution and enlarged with the nearest neighbour: faster, with
# coarser outlines. docs/segmentation.md has the measured difference.
_base_ = './segmentation_onnxruntime_static-512x1024.py'

codebase_config = dict(argmax_first=True)
