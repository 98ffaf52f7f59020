# SSLD of PP-LCNet-0.5x, second stage: ImageNet-1k alone at a hundredth of the rate.
_base_ = [
    '../_base_/models/pplcnet_ssld.py',
    '../_base_/datasets/imagenet_224.py',
    '../_base_/schedules/pplcnet_30e.py',
    '../_base_/runtimes/classification.py',
]

model = dict(student=dict(backbone=dict(widen_factor=0.5), head=dict(in_channels=256, dropout=0.0)))
load_from = 'work_dirs/pplcnet_0.5x_ssld_stage1/epoch_360.pth'
train_dataloader = dict(batch_size=128)  # per GPU, of 8
optim_wrapper = dict(optimizer=dict(lr=0.004, weight_decay=1e-5))
auto_scale_lr = dict(base_batch_size=1024)
