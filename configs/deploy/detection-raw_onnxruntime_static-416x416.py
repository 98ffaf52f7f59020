# Scores and boxes without NMS.
_base_ = ['./_base_/onnxruntime.py', './_base_/detection.py']

onnx_config = dict(output_names=['scores', 'boxes'], input_shape=(416, 416))  # width, height
codebase_config = dict(model_type='raw')
