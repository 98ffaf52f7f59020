"""The backbone in detectors of mmdet and its inferencer."""

import cv2
import numpy as np
import pytest
import torch
from mmdet.apis import DetInferencer
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData

from lcnet_mm.apis import load_config
from lcnet_mm.utils.models import build_model

BACKBONE = dict(_delete_=True, type='PPLCNet', widen_factor=0.5)
RETINANET = dict(
    backbone=dict(BACKBONE, out_indices=(2, 3, 4)),
    neck=dict(in_channels=[64, 128, 256], start_level=0, num_outs=5),
    bbox_head=dict(num_classes=3),
)
FASTER_RCNN = dict(
    backbone=dict(BACKBONE, out_indices=(1, 2, 3, 4)),
    neck=dict(in_channels=[32, 64, 128, 256]),
    roi_head=dict(bbox_head=dict(num_classes=3)),
)
RTMDET = dict(
    backbone=dict(BACKBONE, out_indices=(2, 3, 4)),
    neck=dict(in_channels=[64, 128, 256], out_channels=96, num_csp_blocks=1),
    bbox_head=dict(in_channels=96, feat_channels=96, num_classes=3, norm_cfg=dict(type='BN')),
)


@pytest.mark.parametrize(
    'base, model',
    [
        ('retinanet/retinanet_r50_fpn_1x_coco.py', RETINANET),
        ('faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py', FASTER_RCNN),
        ('rtmdet/rtmdet_tiny_8xb32-300e_coco.py', RTMDET),
    ],
    ids=['retinanet', 'faster_rcnn', 'rtmdet'],
)
def test_stock_detector_trains_one_step(tmp_path, base, model):
    path = tmp_path / 'config.py'
    path.write_text(f"_base_ = 'mmdet::{base}'\ncustom_imports = dict(imports=['lcnet_mm'])\nmodel = {model!r}\n")
    init_default_scope('mmdet')
    torch.manual_seed(0)
    cfg = Config.fromfile(path).model
    cfg.data_preprocessor.batch_augments = None
    detector = MODELS.build(cfg).train()
    sample = DetDataSample(metainfo=dict(img_shape=(128, 128), ori_shape=(128, 128), scale_factor=(1.0, 1.0)))
    sample.gt_instances = InstanceData(
        bboxes=torch.tensor([[10.0, 20.0, 90.0, 100.0], [60.0, 30.0, 120.0, 70.0]]), labels=torch.tensor([0, 2])
    )
    data = dict(inputs=[torch.randint(0, 256, (3, 128, 128), dtype=torch.uint8)] * 2, data_samples=[sample, sample])
    optimizer = torch.optim.SGD(detector.parameters(), lr=0.001)
    losses = []
    for _ in range(2):
        data_batch = detector.data_preprocessor(data, training=True)
        loss, _ = detector.parse_losses(detector(**data_batch, mode='loss'))
        optimizer.zero_grad()
        loss.backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in detector.backbone.parameters())
        optimizer.step()
        losses.append(loss.item())
    assert np.isfinite(losses).all()


def test_det_inferencer(tmp_path):
    cfg = load_config('configs/demo/lcnet_0.5x_digits.py')
    torch.manual_seed(0)
    model = build_model(cfg)
    model.init_weights()
    meta = dict(dataset_meta=dict(classes=cfg.classes, palette=[(0, 0, 0)] * 10))
    torch.save(dict(state_dict=model.state_dict(), meta=meta), tmp_path / 'model.pth')
    cv2.imwrite(str(tmp_path / 'image.png'), np.full((200, 300, 3), 127, np.uint8))
    inferencer = DetInferencer(cfg, str(tmp_path / 'model.pth'), device='cpu')
    result = inferencer(str(tmp_path / 'image.png'), pred_score_thr=0, out_dir=str(tmp_path / 'out'))
    prediction = result['predictions'][0]
    assert len(prediction['labels']) == len(prediction['scores']) == len(prediction['bboxes'])
    # Initial scores lie around 0.01, below the threshold of the config.
    assert len(prediction['labels']) == 0
    assert (tmp_path / 'out' / 'vis' / 'image.png').is_file()
