_base_ = ['./_base_/detection.py', './_base_/openvino.py']

onnx_config = dict(input_shape=(320, 320))  # width, height
