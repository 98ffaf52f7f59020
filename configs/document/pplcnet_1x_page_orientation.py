# Which way up a page is: PP-LCNet 1.0x with 4 classes, 224x224. Source: PaddleClas's
# ppcls/configs/PULC/text_image_orientation/PPLCNet_x1_0.yaml; PaddleX publishes the weights as PP-LCNet_x1_0_doc_ori.
_base_ = [
    '../_base_/models/pplcnet_classifier.py',
    '../_base_/datasets/document_224.py',
    '../_base_/schedules/pplcnet_60e.py',
    '../_base_/runtimes/classification.py',
]

data_root = 'data/text_image_orientation/'
metainfo = dict(classes=('0', '90', '180', '270'))

model = dict(head=dict(num_classes=4, topk=(1, 2)))
optim_wrapper = dict(optimizer=dict(lr=0.4, weight_decay=3e-5))
train_dataloader = dict(dataset=dict(data_root=data_root, metainfo=metainfo))
val_dataloader = dict(dataset=dict(data_root=data_root, metainfo=metainfo))
test_dataloader = val_dataloader
