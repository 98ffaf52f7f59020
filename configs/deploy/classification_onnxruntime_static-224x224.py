# Softmax scores (N, classes).
_base_ = './_base_/onnxruntime.py'

onnx_config = dict(input_shape=(224, 224))
codebase_config = dict(type='mmpretrain', task='Classification')
