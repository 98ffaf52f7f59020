# Whether a table has ruled lines: PP-LCNet 1.0x with 2 classes, 224x224. PaddleX publishes the weights as
# PP-LCNet_x1_0_table_cls; how they were trained is not published, so the recipe is that of the page orientation.
_base_ = [
    '../_base_/models/pplcnet_classifier.py',
    '../_base_/datasets/document_224.py',
    '../_base_/schedules/pplcnet_60e.py',
    '../_base_/runtimes/classification.py',
]

data_root = 'data/table/'
metainfo = dict(classes=('wired_table', 'wireless_table'))

model = dict(head=dict(num_classes=2, topk=(1, 2)))
optim_wrapper = dict(optimizer=dict(lr=0.4, weight_decay=3e-5))
train_dataloader = dict(dataset=dict(data_root=data_root, metainfo=metainfo))
val_dataloader = dict(dataset=dict(data_root=data_root, metainfo=metainfo))
test_dataloader = val_dataloader
