# MobileSeg with PP-LCNet-1x on the drawn street scenes.
_base_ = [
    '../_base_/models/mobileseg.py',
    '../_base_/datasets/streets.py',
    '../_base_/schedules/streets_1000i.py',
    '../_base_/runtimes/segmentation.py',
]

model = dict(
    data_preprocessor=dict(size={{_base_.crop_size}}),
    # Half the strides of Cityscapes, 4, 8 and 16: the images have a quarter of its sides.
    backbone=dict(type='PPLCNet', widen_factor=1.0, output_stride=16, out_indices=(1, 2, 4)),
    decode_head=dict(
        loss_decode=dict(_delete_=True, type='ClassWeightedCrossEntropyLoss', class_weight={{_base_.class_weight}})
    ),
)
# As in the recipe for Cityscapes.
auto_scale_lr = dict(base_batch_size=16)
optim_wrapper = dict(
    paramwise_cfg=dict(custom_keys={'.bn.': dict(decay_mult=0.0), 'decode_head.': dict(decay_mult=1.0)})
)
default_hooks = dict(
    channels_last=dict(type='ChannelsLastHook'), logger=dict(interval=20), checkpoint=dict(interval=250)
)
