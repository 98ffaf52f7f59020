_base_ = './classification.py'

default_hooks = dict(
    logger=dict(interval=50),
    checkpoint=dict(by_epoch=False, interval=100000, save_last=True, max_keep_ckpts=1, save_best=None),
)
log_processor = dict(by_epoch=False)
custom_hooks = [dict(type='ChannelsLastHook')]
