# Softmax scores (N, classes).
_base_ = './onnx.py'

codebase_config = dict(type='mmpretrain', task='Classification')
