# Opset 14 has hard-swish as one op. Static shapes; a dynamic config adds dynamic_axes.
# For mmdeploy's own commands.
custom_imports = dict(imports=['lcnet_mm.deploy'])
onnx_config = dict(
    type='onnx',
    export_params=True,
    keep_initializers_as_inputs=False,
    opset_version=14,
    save_file='end2end.onnx',
    input_names=['input'],
    output_names=['output'],
    input_shape=None,
    optimize=False,
)
