_base_ = ['./_base_/classification.py', './_base_/openvino.py']

onnx_config = dict(input_shape=(224, 224))  # width, height
