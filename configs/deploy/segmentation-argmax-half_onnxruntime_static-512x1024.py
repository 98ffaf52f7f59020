_base_ = ['./_base_/segmentation-argmax-half.py', './_base_/onnxruntime.py']

onnx_config = dict(input_shape=(1024, 512))  # width, height
