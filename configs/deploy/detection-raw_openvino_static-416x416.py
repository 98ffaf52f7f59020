_base_ = ['./_base_/detection-raw.py', './_base_/openvino.py']

onnx_config = dict(input_shape=(416, 416))  # width, height
