# FP32 weights and arithmetic; compress_to_fp16=True halves the file and makes the tolerances 30 times as large.
backend_config = dict(
    type='openvino',
    compress_to_fp16=False,
    compile_options=dict(INFERENCE_PRECISION_HINT='f32', PERFORMANCE_HINT='LATENCY'),
)
