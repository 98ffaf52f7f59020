# Class indices (N, 1, H, W).
_base_ = './_base_/openvino.py'

onnx_config = dict(input_shape=(2048, 1024))  # width, height
codebase_config = dict(type='mmseg', task='Segmentation', with_argmax=True)
