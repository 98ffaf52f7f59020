# FP32 weights and arithmetic; compress_to_fp16=True halves the file and loosens the parity to 1e-2.
_base_ = './onnx.py'

backend_config = dict(
    type='openvino',
    compress_to_fp16=False,
    compile_options=dict(INFERENCE_PRECISION_HINT='f32', PERFORMANCE_HINT='LATENCY'),
)
