# Scores and boxes without NMS.
_base_ = ['./_base_/openvino.py', './_base_/detection.py']

onnx_config = dict(
    output_names=['scores', 'boxes'],
    dynamic_axes=dict(
        input={0: 'batch', 2: 'height', 3: 'width'},
        scores={0: 'batch', 1: 'points'},
        boxes={0: 'batch', 1: 'points'},
    ),
)
codebase_config = dict(model_type='raw')
