_base_ = ['./_base_/detection-raw.py', './_base_/openvino.py']

onnx_config = dict(
    dynamic_axes=dict(
        input={0: 'batch', 2: 'height', 3: 'width'},
        scores={0: 'batch', 1: 'points'},
        boxes={0: 'batch', 1: 'points'},
    )
)
