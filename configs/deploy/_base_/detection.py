# Detections with the NMS inside the graph.
_base_ = './onnx.py'

onnx_config = dict(output_names=['dets', 'labels'])
codebase_config = dict(
    type='mmdet',
    task='ObjectDetection',
    model_type='end2end',
    # Defaults of what the model's test_cfg does not set.
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
