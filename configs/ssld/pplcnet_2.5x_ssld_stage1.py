# SSLD of PP-LCNet-2.5x, first stage.
_base_ = [
    '../_base_/models/pplcnet_ssld.py',
    '../_base_/datasets/imagenet_224_mined.py',
    '../_base_/schedules/pplcnet_360e.py',
    '../_base_/runtimes/classification.py',
]

model = dict(student=dict(backbone=dict(widen_factor=2.5), head=dict(in_channels=1280)))
# Source: PPLCNet_x2_5_ssld.yaml, 0.2 at a total batch of 512; 360 epochs from the documents of the zoo's weights.
optim_wrapper = dict(optimizer=dict(lr=0.4, weight_decay=4e-5))
auto_scale_lr = dict(base_batch_size=1024)
custom_hooks = [dict(type='UnreadableImagesHook')]
