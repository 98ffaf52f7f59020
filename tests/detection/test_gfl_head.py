import numpy as np
import pytest
import torch
import torch.nn.functional as F
from atss_reference import assign_one_image
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData

from lcnet_mm.detection import PicoDetGFLHead

SIZES = ((8, 10), (4, 5), (2, 3))
NUM_CLASSES = 3


def make_head(**kwargs) -> PicoDetGFLHead:
    torch.manual_seed(0)
    head = PicoDetGFLHead(
        NUM_CLASSES,
        16,
        train_cfg=dict(assigner=dict(type='BatchATSSAssigner')),
        test_cfg=ConfigDict(
            nms_pre=1000, score_thr=0.025, nms=dict(type='nms', iou_threshold=0.6), max_per_img=100, min_bbox_size=-1
        ),
        **kwargs,
    )
    head.init_weights()
    return head


def make_feats(batch: int = 2) -> list[torch.Tensor]:
    torch.manual_seed(1)
    return [torch.randn(batch, 16, *size) for size in SIZES]


def make_gt() -> list[InstanceData]:
    boxes = torch.tensor([[4.0, 6.0, 40.0, 50.0], [30.0, 10.0, 70.0, 60.0]])
    return [InstanceData(bboxes=boxes, labels=torch.tensor([0, 2]))] + [
        InstanceData(bboxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.long))
    ]


def test_parameters_and_initial_prior():
    head = make_head()
    tower = 2 * (16 * 25 + 16 * 16 + 4 * 16)
    assert sum(p.numel() for p in head.parameters()) == 3 * (tower + (16 + 1) * (NUM_CLASSES + 32))
    scores, _ = head.get_scores_and_boxes(make_feats())
    assert scores.mean().item() == pytest.approx(0.01, rel=0.02)


def test_boxes_are_expectations_around_the_centers_of_the_cells():
    head = make_head().eval()
    feats = make_feats(1)
    cls_logits, reg_logits = head(feats)
    scores, boxes = head.get_scores_and_boxes(feats)
    assert scores.shape == (1, 80 + 20 + 6, NUM_CLASSES) and boxes.shape == (1, 106, 4)
    level, row, column = 1, 2, 3
    bins = reg_logits[level][0, :, row, column].view(4, 8).softmax(1)
    left, top, right, bottom = (bins * torch.arange(8)).sum(1) * 16
    x, y = (column + 0.5) * 16, (row + 0.5) * 16
    index = 80 + row * 5 + column
    torch.testing.assert_close(boxes[0, index], torch.stack((x - left, y - top, x + right, y + bottom)))
    torch.testing.assert_close(scores[0, index], cls_logits[level][0, :, row, column].sigmoid())


def reference_losses(head, cls_logits, reg_logits, instances) -> dict[str, float]:
    """Compute the three losses point by point in NumPy (docs/specification/picodet.md#losses, generation 0)."""
    points = head.get_points(cls_logits)
    logits = torch.cat([x.flatten(2) for x in cls_logits], 2).transpose(1, 2).double().numpy()
    bins = torch.cat([x.flatten(2) for x in reg_logits], 2).transpose(1, 2).double().numpy()
    centers, strides = points.centers.double().numpy(), points.strides.double().numpy()[:, 0]
    qfl = box = dfl = norm = num_pos = 0.0
    for image, gt in enumerate(instances):
        boxes = gt.bboxes.double().numpy()
        assigned = assign_one_image(points, boxes)
        num_pos += max(int((assigned >= 0).sum()), 1)
        for index, gt_index in enumerate(assigned):
            z = logits[image, index]
            p = 1 / (1 + np.exp(-z))
            target = np.zeros(NUM_CLASSES)
            if gt_index >= 0:
                stride = strides[index]
                x, y = centers[index] / stride
                distribution = bins[image, index].reshape(4, 8)
                exp = np.exp(distribution - distribution.max(1, keepdims=True))
                prob = exp / exp.sum(1, keepdims=True)
                d = prob @ np.arange(8)
                pred = np.array([x - d[0], y - d[1], x + d[2], y + d[3]])
                goal = boxes[gt_index] / stride
                inter = max(0, min(pred[2], goal[2]) - max(pred[0], goal[0])) * max(
                    0, min(pred[3], goal[3]) - max(pred[1], goal[1])
                )
                union = (pred[2] - pred[0]) * (pred[3] - pred[1]) + (goal[2] - goal[0]) * (goal[3] - goal[1]) - inter
                hull = (max(pred[2], goal[2]) - min(pred[0], goal[0])) * (max(pred[3], goal[3]) - min(pred[1], goal[1]))
                target[int(gt.labels[gt_index])] = inter / union
                weight = p.max()
                norm += weight
                box += weight * (1 - (inter / union - (hull - union) / hull))
                y_target = np.clip([x - goal[0], y - goal[1], goal[2] - x, goal[3] - y], 0, 6.9)
                for side in range(4):
                    low = int(y_target[side])
                    right = y_target[side] - low
                    dfl -= weight * ((1 - right) * np.log(prob[side, low]) + right * np.log(prob[side, low + 1]))
            bce = -(target * np.log(p) + (1 - target) * np.log(1 - p))
            qfl += (np.abs(target - p) ** 2 * bce).sum()
    norm = max(norm, 1)
    return dict(loss_qfl=qfl / num_pos, loss_bbox=2 * box / norm, loss_dfl=0.25 * dfl / (4 * norm))


@pytest.mark.parametrize('scale', [1.0, 30.0])
def test_losses_equal_the_reference(scale):
    head = make_head().eval()
    with torch.no_grad():
        for predictor in head.predictors:
            # Spread the logits: at their initial values all points are alike, and the weights stay below the clamp.
            predictor.weight.mul_(scale)
            predictor.bias.add_(3.0 if scale > 1 else 0.0)
        cls_logits, reg_logits = head(make_feats())
    losses = head.loss_by_feat(cls_logits, reg_logits, make_gt(), [{}, {}])
    expected = reference_losses(head, cls_logits, reg_logits, make_gt())
    assert losses.keys() == expected.keys()
    for name, value in expected.items():
        assert losses[name].item() == pytest.approx(value, rel=1e-4), name


def test_gradients_reach_every_parameter():
    head = make_head()
    gt = make_gt()
    # One box per level's scale, so that every level has positives.
    gt[1] = InstanceData(bboxes=torch.tensor([[0.0, 0.0, 80.0, 64.0], [8, 8, 24, 20]]), labels=torch.tensor([1, 1]))
    losses = head.loss_by_feat(*head(make_feats()), gt, [{}, {}])
    sum(losses.values()).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in head.parameters())


def test_a_batch_without_boxes_trains():
    head = make_head()
    losses = head.loss_by_feat(*head(make_feats(1)), make_gt()[1:], [{}])
    assert losses['loss_bbox'].item() == losses['loss_dfl'].item() == 0
    assert losses['loss_qfl'].item() > 0
    sum(losses.values()).backward()


def test_losses_are_the_same_under_autocast():
    head = make_head().eval()
    cls_logits, reg_logits = head(make_feats())
    expected = head.loss_by_feat(cls_logits, reg_logits, make_gt(), [{}, {}])
    with torch.autocast('cpu', torch.bfloat16):
        actual = head.loss_by_feat(cls_logits, reg_logits, make_gt(), [{}, {}])
    for name, value in expected.items():
        torch.testing.assert_close(actual[name], value)


def predict_planted(score_logits: list[tuple[int, int, float]], **cfg) -> InstanceData:
    """Predict from one level of 4x4 points at stride 8 with the given (point, class, logit) and boxes of 16 px."""
    head = make_head(strides=(8,))
    cls_logit = torch.full((1, NUM_CLASSES, 16), -20.0)
    for point, label, logit in score_logits:
        cls_logit[0, label, point] = logit
    reg_logit = torch.full((1, 4, 8, 16), -30.0)
    reg_logit[:, :, 1] = 30.0
    meta = dict(img_shape=(32, 32), scale_factor=(0.5, 0.25))
    head.test_cfg.update(cfg)
    return head.predict_by_feat(
        [cls_logit.view(1, NUM_CLASSES, 4, 4)], [reg_logit.view(1, 32, 4, 4)], batch_img_metas=[meta], rescale=True
    )[0]


def test_prediction_clips_rescales_and_suppresses_per_class():
    result = predict_planted([(0, 1, 3.0), (5, 0, 2.0), (6, 0, 1.0), (6, 2, 0.0)])
    # Points 5 and 6 overlap at IoU 1/3: both stay at 0.6, and classes never suppress each other.
    assert result.labels.tolist() == [1, 0, 0, 2]
    torch.testing.assert_close(result.scores, torch.tensor([3.0, 2.0, 1.0, 0.0]).sigmoid())
    # Point 0 is at (4, 4): its box (-4, -4, 12, 12) is clipped, then divided by the scale factors.
    torch.testing.assert_close(result.bboxes[0], torch.tensor([0.0, 0.0, 24.0, 48.0]))
    assert predict_planted([(5, 0, 2.0), (6, 0, 1.0)], nms=dict(type='nms', iou_threshold=0.3)).labels.tolist() == [0]


def test_prediction_limits():
    planted = [(point, 0, float(point)) for point in (0, 3, 12, 15)]
    assert len(predict_planted(planted)) == 4
    assert len(predict_planted(planted, max_per_img=3)) == 3
    assert len(predict_planted(planted, nms_pre=2)) == 2
    assert len(predict_planted(planted, score_thr=F.sigmoid(torch.tensor(12.5)).item())) == 1
    assert len(predict_planted([])) == 0
