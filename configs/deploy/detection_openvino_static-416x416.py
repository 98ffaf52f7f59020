# NMS inside the graph.
_base_ = ['./_base_/openvino.py', './_base_/detection.py']

onnx_config = dict(output_names=['dets', 'labels'], input_shape=(416, 416))  # width, height
codebase_config = dict(model_type='end2end')
