_base_ = './onnx.py'

backend_config = dict(type='onnxruntime')
