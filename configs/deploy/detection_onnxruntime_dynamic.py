# NMS inside the graph.
_base_ = ['./_base_/onnxruntime.py', './_base_/detection.py']

onnx_config = dict(
    output_names=['dets', 'labels'],
    dynamic_axes=dict(
        input={0: 'batch', 2: 'height', 3: 'width'},
        dets={0: 'batch', 1: 'detections'},
        labels={0: 'batch', 1: 'detections'},
    ),
)
codebase_config = dict(model_type='end2end')
