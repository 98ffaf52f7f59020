_base_ = ['./_base_/detection.py', './_base_/openvino.py']

onnx_config = dict(input_shape=(640, 640))  # width, height
