_base_ = ['./_base_/segmentation.py', './_base_/openvino.py']

onnx_config = dict(input_shape=(2048, 1024))  # width, height
