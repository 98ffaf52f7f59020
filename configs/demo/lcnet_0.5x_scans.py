# Seconds on two CPU cores: the classifier on the scans of digits, the base of the ablations.
_base_ = [
    '../_base_/models/pplcnet_classifier.py',
    '../_base_/datasets/scans.py',
    '../_base_/schedules/scans_400i.py',
    '../_base_/runtimes/classification.py',
]

model = dict(backbone=dict(widen_factor=0.5), head=dict(num_classes=10, in_channels=256, topk=(1,)))
default_hooks = dict(
    channels_last=dict(type='ChannelsLastHook'),
    logger=dict(interval=50),
    checkpoint=dict(by_epoch=False, interval=100000, save_last=True, max_keep_ckpts=1, save_best=None),
)
log_processor = dict(by_epoch=False)
