_base_ = ['./_base_/detection-raw.py', './_base_/onnxruntime.py']

onnx_config = dict(input_shape=(640, 640))  # width, height
