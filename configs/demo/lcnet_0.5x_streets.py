# Under ten minutes on two CPU cores: DeepLabV3+ with PP-LCNet-0.5x on the drawn street scenes.
_base_ = [
    '../_base_/models/deeplabv3plus_light.py',
    '../_base_/datasets/streets.py',
    '../_base_/schedules/streets_1000i.py',
    '../_base_/runtimes/segmentation.py',
]

model = dict(
    data_preprocessor=dict(size={{_base_.crop_size}}),
    # Half the stride of the Cityscapes config, because the images have a quarter of the width and height.
    backbone=dict(type='PPLCNet', widen_factor=0.5, output_stride=16, out_indices=(1, 4)),
    decode_head=dict(
        loss_decode=dict(_delete_=True, type='ClassWeightedCrossEntropyLoss', class_weight={{_base_.class_weight}})
    ),
)
default_hooks = dict(
    channels_last=dict(type='ChannelsLastHook'), logger=dict(interval=20), checkpoint=dict(interval=250)
)
