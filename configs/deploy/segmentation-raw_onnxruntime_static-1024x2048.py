# Logits (N, classes, H, W) at the size of the input.
_base_ = './_base_/onnxruntime.py'

onnx_config = dict(input_shape=(2048, 1024))  # width, height
codebase_config = dict(type='mmseg', task='Segmentation', with_argmax=False)
