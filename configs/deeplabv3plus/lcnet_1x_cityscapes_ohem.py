# Loss on the hardest pixels only, and class weights for Cityscapes.
_base_ = './lcnet_1x_cityscapes.py'

model = dict(
    decode_head=dict(
        # Settings of mmseg's configs/_base_/models/stdc.py.
        sampler=dict(type='OHEMPixelSampler', thresh=0.7, min_kept=10000),
        loss_decode=dict(
            _delete_=True,
            type='ClassWeightedCrossEntropyLoss',
            # Source: HRNet-Semantic-Segmentation, as in mmseg's configs for Cityscapes.
            class_weight=[
                *(0.8373, 0.918, 0.866, 1.0345, 1.0166, 0.9969, 0.9754, 1.0489, 0.8786, 1.0023),
                *(0.9539, 0.9843, 1.1116, 0.9037, 1.0865, 1.0955, 1.0865, 1.1529, 1.0507),
            ],
        ),
    )
)
