# The schedule of PaddleClas's PULC recipes of 20 epochs (ppcls/configs/PULC): 5 epochs of warm-up, then a half cosine.
# The rate is for 4 GPUs x 256.
_base_ = './pplcnet_360e.py'

max_epochs = 20

train_cfg = dict(max_epochs=max_epochs)
auto_scale_lr = dict(base_batch_size=1024)
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-6, begin=0, end=5, by_epoch=True, convert_to_iter_based=True),
    dict(
        type='CosineAnnealingLR',
        eta_min=0,
        begin=5,
        end=max_epochs,
        T_max=max_epochs - 5,
        by_epoch=True,
        convert_to_iter_based=True,
    ),
]
