_base_ = ['./_base_/segmentation-raw.py', './_base_/onnxruntime.py']

onnx_config = dict(input_shape=(2048, 1024))  # width, height
