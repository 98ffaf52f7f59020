# Scores and boxes without NMS.
_base_ = './_base_/openvino.py'

onnx_config = dict(
    output_names=['scores', 'boxes'],
    dynamic_axes=dict(
        input={0: 'batch', 2: 'height', 3: 'width'},
        scores={0: 'batch', 1: 'points'},
        boxes={0: 'batch', 1: 'points'},
    ),
)
codebase_config = dict(
    type='mmdet',
    task='ObjectDetection',
    model_type='raw',
    # Used where the model's test_cfg is silent.
    post_processing=dict(
        score_threshold=0.05,
        confidence_threshold=0.005,
        iou_threshold=0.5,
        max_output_boxes_per_class=100,
        pre_top_k=-1,
        keep_top_k=100,
        background_label_id=-1,
    ),
)
