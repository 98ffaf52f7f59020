# Whether a table has ruled lines: PP-LCNet 1.0x with 2 classes, 224x224. PaddleX publishes the weights as
# PP-LCNet_x1_0_table_cls; how they were trained is not published, so the recipe is that of the page orientation.
_base_ = './pplcnet_1x_page_orientation.py'

data_root = 'data/table/'
metainfo = dict(classes=('wired_table', 'wireless_table'))

model = dict(head=dict(num_classes=2))
train_dataloader = dict(dataset=dict(data_root=data_root, metainfo=metainfo))
val_dataloader = dict(dataset=dict(data_root=data_root, metainfo=metainfo))
test_dataloader = val_dataloader
