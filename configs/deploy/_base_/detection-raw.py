# Scores and boxes without NMS.
_base_ = './detection.py'

onnx_config = dict(output_names=['scores', 'boxes'])
codebase_config = dict(model_type='raw')
