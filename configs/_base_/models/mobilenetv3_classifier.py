# MobileNetV3 of PaddleClas (mobilenet_v3.py): squeeze widths not rounded, gate slope 0.2, an expansion in every block,
# 1280 channels before the classifier at every width. Configs set arch, widen_factor and the head's channels.
num_classes = 1000

model = dict(
    type='ImageClassifier',
    backbone=dict(
        type='mmengine.MobileNetV3',
        arch='large',
        widen_factor=1.0,
        out_indices=(4,),
        se_divisor=1,
        se_gate_slope=0.2,
        always_expand=True,
        norm_cfg=dict(type='BN'),
    ),
    head=dict(
        type='MobileNetV3Head',
        num_classes=num_classes,
        in_channels=160,
        expanded_channels=960,
        last_conv_channels=1280,
        dropout=0.2,
        # CELoss with epsilon 0.1, spread over all classes.
        loss=dict(type='LabelSmoothLoss', label_smooth_val=0.1),
        topk=(1, 5),
    ),
)
