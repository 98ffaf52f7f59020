"""The released generations against what the original computed for the same weights and images."""

import pytest
import torch
from golden import load_case, load_image, relative_error
from mmdet.registry import MODELS
from mmengine.structures import InstanceData

import lcnet_mm.detection  # noqa: F401 - registers the parts
from lcnet_mm.weights import rename_paddle_key

# scale: widths of the strides 8, 16 and 32
WIDTHS = {0.35: [48, 88, 176], 0.5: [64, 128, 256]}


def build(case: dict) -> torch.nn.Module:
    channels = case['neck_channels']
    aligned = case['generation'] == 2
    if aligned:
        train_cfg = dict(
            initial_epoch=100,
            initial_assigner=dict(type='BatchATSSAssigner', topk=9, strict=True),
            assigner=dict(type='BatchTaskAlignedAssigner', topk=13),
        )
    else:
        train_cfg = dict(assigner=dict(type='BatchSimOTAAssigner'))
    return MODELS.build(
        dict(
            type='PicoDet',
            backbone=dict(type='PPLCNet', widen_factor=case['scale'], out_indices=(2, 3, 4)),
            neck=dict(type='LCPAN' if aligned else 'CSPPAN', in_channels=WIDTHS[case['scale']], out_channels=channels),
            bbox_head=dict(
                type='PicoDetAlignedHead' if aligned else 'PicoDetSimOTAHead',
                num_classes=case['num_classes'],
                in_channels=channels,
                num_convs=case['num_convs'],
            ),
            train_cfg=train_cfg,
        )
    ).eval()


@pytest.fixture(scope='module', params=['picodet_v1_lcnet_0.5', 'picodet_v2_xs'])
def golden(request):
    case, state, outputs = load_case(request.param)
    model = build(case)
    renamed = {rename_paddle_key(key, case['generation']): value for key, value in state.items()}
    renamed.pop(None, None)
    missing, unexpected = model.load_state_dict(renamed, strict=False)
    assert not unexpected and all(key.endswith('num_batches_tracked') for key in missing)
    return case, model, outputs


def test_features_scores_and_boxes(golden):
    case, model, outputs = golden
    with torch.no_grad():
        features = model.backbone(load_image(case))
        levels = model.neck(features)
        scores, boxes = model.bbox_head.get_scores_and_boxes(levels)
    for feature, key in zip((*features, *levels), ('c3', 'c4', 'c5', 'p3', 'p4', 'p5', 'p6'), strict=True):
        assert relative_error(feature.mean((2, 3)), outputs[f'{key}_mean']) < 1e-4, key
    assert relative_error(scores.transpose(1, 2)[:, :, ::7], outputs['scores']) < 1e-4
    assert relative_error(boxes, outputs['boxes']) < 1e-4


def ground_truth(case: dict) -> list[InstanceData]:
    instances = []
    for boxes, labels, mask in zip(*(case['gt'][key] for key in ('boxes', 'labels', 'mask')), strict=True):
        real = torch.tensor(mask)[:, 0] > 0
        instances.append(InstanceData(bboxes=torch.tensor(boxes)[real], labels=torch.tensor(labels)[real, 0]))
    return instances


@pytest.mark.parametrize('epoch, phase', [(0, 'atss'), (99, 'atss'), (100, 'tal')])
def test_losses(golden, epoch, phase):
    case, model, outputs = golden
    if case['generation'] != 2:
        pytest.skip('the case holds no losses')
    model.set_epoch(epoch)
    losses = model.bbox_head.loss_by_feat(
        *model.bbox_head(model.extract_feat(load_image(case))), ground_truth(case), [{}, {}]
    )
    for name in ('loss_vfl', 'loss_bbox', 'loss_dfl'):
        assert losses[name].item() == pytest.approx(outputs[f'{phase}_{name}'].item(), rel=1e-4), name


def test_simota_losses_train(golden):
    case, model, _ = golden
    losses = model.bbox_head.loss_by_feat(
        *model.bbox_head(model.extract_feat(load_image(case))), ground_truth(case), [{}, {}]
    )
    sum(losses.values()).backward()
    assert all(value.isfinite() and value > 0 for value in losses.values())
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    model.zero_grad(set_to_none=True)
