"""The released generations compared with the outputs of the original for the same weights and images.

Everything is computed in float64: in float32 two machines differ by more than the tolerance. What is left is the
rounding of the original, which computed in float32; its case says how large it is in ``float32_vs_float64``.
"""

import pytest
import torch
from golden import load_case, load_image, relative_error
from mmdet.registry import MODELS
from mmengine.structures import InstanceData
from torch import Tensor

import lcnet_mm.detection  # noqa: F401 - registers the parts
from lcnet_mm.detection.structures import Assignment
from lcnet_mm.weights import rename_paddle_key

# scale: widths of the strides 8, 16 and 32
WIDTHS = {0.35: [48, 88, 176], 0.5: [64, 128, 256]}


def build(case: dict) -> torch.nn.Module:
    channels = case['neck_channels']
    aligned = case['generation'] == 2
    if aligned:
        train_cfg = dict(
            initial_epoch=100,
            initial_assigner=dict(
                type='BatchATSSAssigner', topk=9, inclusive=False, unbiased=True, inside_margin=1e-9, conflicts='all'
            ),
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


def load_golden(name: str) -> tuple[dict, torch.nn.Module, dict[str, Tensor]]:
    """Return the case, the detector with its weights in float64, and its outputs."""
    case, state, outputs = load_case(name)
    model = build(case)
    renamed = {rename_paddle_key(key, case['generation']): value for key, value in state.items()}
    renamed.pop(None, None)
    missing, unexpected = model.load_state_dict(renamed, strict=False)
    assert not unexpected and all(key.endswith('num_batches_tracked') for key in missing)
    return case, model.double(), outputs


@pytest.fixture(scope='module', params=['picodet_v1_lcnet_0.5', 'picodet_v1_loss_lcnet_0.5', 'picodet_v2_xs'])
def golden(request):
    return load_golden(request.param)


def forward(case: dict, model: torch.nn.Module) -> tuple[list[Tensor], list[Tensor]]:
    """Return the maps of the head for the case's images."""
    return model.bbox_head(model.extract_feat(load_image(case).double()))


def test_features_scores_and_boxes(golden):
    case, model, outputs = golden
    with torch.no_grad():
        features = model.backbone(load_image(case).double())
        levels = model.neck(features)
        scores, boxes = model.bbox_head.get_scores_and_boxes(levels)
    for feature, key in zip((*features, *levels), ('c3', 'c4', 'c5', 'p3', 'p4', 'p5', 'p6'), strict=True):
        assert relative_error(feature.mean((2, 3)), outputs[f'{key}_mean']) < 1e-4, key
    assert relative_error(scores.transpose(1, 2)[:, :, ::7], outputs['scores']) < 1e-4
    assert relative_error(boxes, outputs['boxes']) < 1e-4


def ground_truth(gt: dict) -> list[InstanceData]:
    """Return the boxes of the two images without their padding."""
    instances = []
    for boxes, labels, mask in zip(*(gt[key] for key in ('boxes', 'labels', 'mask')), strict=True):
        real = torch.tensor(mask)[:, 0] > 0
        instances.append(InstanceData(bboxes=torch.tensor(boxes)[real], labels=torch.tensor(labels)[real, 0]))
    return instances


@pytest.mark.parametrize('epoch, phase', [(0, 'atss'), (99, 'atss'), (100, 'tal')])
def test_losses_of_release_2_4(epoch, phase):
    case, model, outputs = load_golden('picodet_v2_xs')
    model.set_epoch(epoch)
    losses = model.bbox_head.loss_by_feat(*forward(case, model), ground_truth(case['gt']), [{}, {}])
    for name in ('loss_vfl', 'loss_bbox', 'loss_dfl'):
        assert losses[name].item() == pytest.approx(outputs[f'{phase}_{name}'].item(), rel=1e-4), name


class Recorder:
    """An assigner that records its last assignment."""

    def __init__(self, assigner) -> None:
        self.assigner = assigner

    def assign(self, *args) -> Assignment:
        self.assignment = self.assigner.assign(*args)
        return self.assignment


@pytest.mark.parametrize('prefix', ['', 'overlap_', 'image0_only_', 'no_boxes_'])
def test_losses_of_release_2_3(prefix):
    case, model, outputs = load_golden('picodet_v1_loss_lcnet_0.5')
    # The largest error of the original's features, scores and boxes; its losses are not worse.
    tolerance = max(case['float32_vs_float64'].values())
    instances = ground_truth(case['gt_overlap'] if prefix == 'overlap_' else case['gt'])
    for image in dict(image0_only_=(1,), no_boxes_=(0, 1)).get(prefix, ()):
        instances[image] = instances[image][:0]

    head = model.bbox_head
    head.assigner = Recorder(head.assigner)
    losses = head.loss_by_feat(*forward(case, model), instances, [{}, {}])
    for name, loss in losses.items():
        assert loss.item() == pytest.approx(outputs[f'{prefix}{name}'].item(), rel=tolerance), name
    assert losses.keys() == {'loss_vfl', 'loss_bbox', 'loss_dfl'}

    # The original counts the boxes of an image from 1; here they are counted over the batch from 0.
    first = torch.tensor([[0], [len(instances[0])]])
    assigned = head.assigner.assignment.gt_index
    assigned = torch.where(assigned >= 0, assigned - first + 1, 0)
    # Images without boxes have only negative points, and the assignment of one image is that of any batch.
    expected = outputs['overlap_assigned_gt' if prefix == 'overlap_' else 'assigned_gt'].long()
    expected = torch.stack([row if len(gt) else 0 * row for row, gt in zip(expected, instances, strict=True)])
    assert torch.equal(assigned, expected)

    sum(losses.values()).backward()
    for level, predictor in enumerate(head.predictors):
        expected = outputs[f'{prefix}grad_head_cls{level}_bias']
        error = (predictor.bias.grad - expected).abs()
        classes = case['num_classes']
        assert error[:classes].max() <= tolerance * expected[:classes].abs().max(), level
        # The gradients of the distances are differences of nearly equal numbers, so more of their digits are rounding.
        assert error[classes:].max() <= 4 * tolerance * expected[classes:].abs().max(), level


def test_simota_losses_train():
    case, model, _ = load_golden('picodet_v1_lcnet_0.5')
    losses = model.bbox_head.loss_by_feat(*forward(case, model), ground_truth(case['gt']), [{}, {}])
    sum(losses.values()).backward()
    assert all(value.isfinite() and value > 0 for value in losses.values())
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
