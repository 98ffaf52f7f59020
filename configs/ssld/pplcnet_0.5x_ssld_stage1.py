# SSLD of PP-LCNet-0.5x, first stage; no configuration of this width is public, so it is that of 1x.
_base_ = [
    '../_base_/models/pplcnet_ssld.py',
    '../_base_/datasets/imagenet_224_mined.py',
    '../_base_/schedules/pplcnet_360e.py',
    '../_base_/runtimes/classification.py',
]

model = dict(student=dict(backbone=dict(widen_factor=0.5), head=dict(in_channels=256, dropout=0.0)))
# Source: PPLCNet_x1_0_ssld.yaml, at its total batch of 1024; 360 epochs from the documents of the zoo's weights.
optim_wrapper = dict(optimizer=dict(lr=0.4, weight_decay=1e-5))
auto_scale_lr = dict(base_batch_size=1024)
custom_hooks = [dict(type='UnreadableImagesHook')]
