# Class indices (N, 1, H, W).
_base_ = './onnx.py'

codebase_config = dict(type='mmseg', task='Segmentation', with_argmax=True)
