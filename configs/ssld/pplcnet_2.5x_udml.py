# Mutual learning with a loss between the features of stride 16 too. Source: PPLCNet_x2_5_udml.yaml (76.74 % there).
_base_ = './pplcnet_2.5x_dml.py'

model = dict(feature_loss=dict(student='backbone.blocks5', teacher='backbone.blocks5', weight=1.0))
