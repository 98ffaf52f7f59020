_base_ = ['./_base_/detection.py', './_base_/onnxruntime.py']

onnx_config = dict(
    dynamic_axes=dict(
        input={0: 'batch', 2: 'height', 3: 'width'},
        dets={0: 'batch', 1: 'detections'},
        labels={0: 'batch', 1: 'detections'},
    )
)
