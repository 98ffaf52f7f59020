# Class indices (N, 1, H, W).
_base_ = './_base_/onnxruntime.py'

onnx_config = dict(input_shape=(1024, 512))  # width, height
codebase_config = dict(type='mmseg', task='Segmentation', with_argmax=True)
