# The classifier of PaddleClas's pp_lcnet.py (docs/specification/pplcnet.md#architecture,
# docs/specification/pplcnet.md#layers). Configs set the widen_factor and the head's in_channels.
num_classes = 1000

model = dict(
    type='ImageClassifier',
    backbone=dict(type='PPLCNet', widen_factor=1.0, out_indices=(4,)),
    head=dict(
        type='LastConvClsHead',
        num_classes=num_classes,
        in_channels=512,
        # The same at every width.
        last_conv_channels=1280,
        act_cfg=dict(type='HSwish'),
        dropout=0.2,
        # CELoss with epsilon 0.1, spread over all classes.
        loss=dict(type='LabelSmoothLoss', label_smooth_val=0.1),
        topk=(1, 5),
    ),
)
