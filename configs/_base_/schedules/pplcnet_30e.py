# The second stage of SSLD: 30 epochs for light networks (docs/specification/pplcnet.md#ssld-recipe).
_base_ = './pplcnet_360e.py'

max_epochs = 30

train_cfg = dict(max_epochs=max_epochs)
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
