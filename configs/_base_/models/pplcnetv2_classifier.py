# The classifier of PaddleClas's pp_lcnet_v2.py (docs/specification/pplcnet.md#pplcnetv2). A config names the size and
# the head's in_channels.
num_classes = 1000

model = dict(
    type='ImageClassifier',
    backbone=dict(type='PPLCNetV2', arch='base', out_indices=(4,)),
    head=dict(
        type='LastConvClsHead',
        num_classes=num_classes,
        in_channels=1024,
        # The same at every size.
        last_conv_channels=1280,
        act_cfg=dict(type='ReLU'),
        dropout=0.2,
        # CELoss with epsilon 0.1, which goes to all classes.
        loss=dict(type='LabelSmoothLoss', label_smooth_val=0.1),
        topk=(1, 5),
    ),
)
