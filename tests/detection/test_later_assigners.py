"""Task alignment, SimOTA and the strict ATSS compared with references that work box by box."""

import numpy as np
import pytest
import torch
from atss_reference import make_points, random_boxes

from lcnet_mm.detection import BatchATSSAssigner, BatchSimOTAAssigner, BatchTaskAlignedAssigner
from lcnet_mm.detection.structures import GroundTruth, Points

NUM_CLASSES = 4
COUNTS = (3, 0, 14, 1)


def make_strict_atss() -> BatchATSSAssigner:
    """Build ATSS of release 2.4."""
    return BatchATSSAssigner(inclusive=False, unbiased=True, inside_margin=1e-9, conflicts='all')


def iou_matrix(a: np.ndarray, b: np.ndarray, generalized: bool = False) -> np.ndarray:
    lt, rb = np.maximum(a[:, None, :2], b[None, :, :2]), np.minimum(a[:, None, 2:], b[None, :, 2:])
    inter = (rb - lt).clip(0).prod(-1)
    union = (a[:, 2:] - a[:, :2]).prod(-1)[:, None] + (b[:, 2:] - b[:, :2]).prod(-1)[None] - inter
    iou = inter / np.maximum(union, 1e-9)
    if not generalized:
        return iou
    hull = (np.maximum(a[:, None, 2:], b[None, :, 2:]) - np.minimum(a[:, None, :2], b[None, :, :2])).prod(-1)
    return iou - (hull - union) / hull


def make_batch(seed: int):
    rng = np.random.default_rng(seed)
    points = make_points(128, 160)
    num_points = len(points.centers)
    boxes = [random_boxes(rng, count, 128, 160) for count in COUNTS]
    labels = [rng.integers(0, NUM_CLASSES, count) for count in COUNTS]
    scores = rng.uniform(0.01, 0.9, (len(COUNTS), num_points, NUM_CLASSES))
    centers, strides = points.centers.numpy(), points.strides.numpy()
    distances = rng.uniform(0.3, 3, (len(COUNTS), num_points, 4)) * strides
    predictions = np.concatenate((centers - distances[..., :2], centers + distances[..., 2:]), -1)
    gt = GroundTruth(
        torch.tensor(np.concatenate(boxes), dtype=torch.double),
        torch.tensor(np.concatenate(labels)),
        torch.tensor(np.repeat(np.arange(len(COUNTS)), COUNTS)),
    )
    double = Points(points.centers.double(), points.strides.double(), points.level_sizes)
    return double, gt, boxes, labels, scores, predictions


def inside(points: Points, boxes: np.ndarray, margin: float) -> np.ndarray:
    centers = points.centers.numpy()[None]
    return np.minimum(centers - boxes[:, None, :2], boxes[:, None, 2:] - centers).min(-1) > margin


def settle(mask: np.ndarray, overlaps: np.ndarray) -> np.ndarray:
    """Give points of several boxes to the box of all with the largest overlap; (G, P) to (P,)."""
    assigned = np.where(mask.any(0), mask.argmax(0), -1)
    several = mask.sum(0) > 1
    assigned[several] = overlaps[:, several].argmax(0)
    return assigned


@pytest.mark.parametrize('seed', range(4))
def test_task_alignment(seed):
    points, gt, boxes, labels, scores, predictions = make_batch(seed)
    result = BatchTaskAlignedAssigner(topk=13).assign(points, gt, torch.tensor(scores), torch.tensor(predictions))
    offset, contested = 0, 0
    for image, (gt_boxes, gt_labels) in enumerate(zip(boxes, labels, strict=True)):
        expected = np.full(len(points.centers), -1)
        quality = np.zeros(len(points.centers))
        if len(gt_boxes):
            overlaps = iou_matrix(gt_boxes, predictions[image])
            metric = scores[image][:, gt_labels].T * overlaps**6
            allowed = inside(points, gt_boxes, 1e-9)
            mask = np.zeros_like(allowed)
            for index in range(len(gt_boxes)):
                masked = np.where(allowed[index], metric[index], -1)
                chosen = np.argsort(-masked, kind='stable')[:13]
                mask[index, chosen] = allowed[index, chosen]
            contested += (mask.sum(0) > 1).sum()
            expected = settle(mask, overlaps)
            final = np.zeros_like(mask)
            final[expected[expected >= 0], np.flatnonzero(expected >= 0)] = True
            for point in np.flatnonzero(expected >= 0):
                index = expected[point]
                best, best_overlap = (metric[index] * final[index]).max(), (overlaps[index] * final[index]).max()
                quality[point] = metric[index, point] / (best + 1e-9) * best_overlap
            expected = np.where(expected >= 0, expected + offset, -1)
        np.testing.assert_array_equal(result.gt_index[image].numpy(), expected)
        np.testing.assert_allclose(result.quality[image].numpy(), quality, atol=1e-9)
        offset += len(gt_boxes)
    assert contested > 0


@pytest.mark.parametrize('seed', range(4))
def test_strict_atss(seed):
    points, gt, boxes, _, _, predictions = make_batch(seed)
    result = make_strict_atss().assign(points, gt, None, torch.tensor(predictions))
    cells = np.concatenate((points.centers - 2.5 * points.strides, points.centers + 2.5 * points.strides), 1)
    offset = 0
    for image, gt_boxes in enumerate(boxes):
        expected = np.full(len(cells), -1)
        if len(gt_boxes):
            overlaps = iou_matrix(gt_boxes, cells)
            distance = np.linalg.norm(
                points.centers.numpy()[None] - ((gt_boxes[:, :2] + gt_boxes[:, 2:]) / 2)[:, None], axis=-1
            )
            mask = np.zeros_like(overlaps, dtype=bool)
            for index in range(len(gt_boxes)):
                candidates, start = [], 0
                for size in points.level_sizes:
                    candidates += list(start + np.argsort(distance[index, start : start + size], kind='stable')[:9])
                    start += size
                values = overlaps[index, candidates]
                mask[index, candidates] = values > values.mean() + values.std(ddof=1)
            expected = settle(mask & inside(points, gt_boxes, 1e-9), overlaps)
        taken = expected >= 0
        quality = np.zeros(len(cells))
        if taken.any():
            predicted = iou_matrix(gt_boxes, predictions[image])
            quality[taken] = predicted[expected[taken], np.flatnonzero(taken)]
        np.testing.assert_array_equal(result.gt_index[image].numpy(), np.where(taken, expected + offset, -1))
        np.testing.assert_allclose(result.quality[image].numpy(), quality, atol=1e-9)
        offset += len(gt_boxes)


@pytest.mark.parametrize('seed', range(4))
def test_simota(seed):
    points, gt, boxes, labels, scores, predictions = make_batch(seed)
    result = BatchSimOTAAssigner().assign(points, gt, torch.tensor(scores), torch.tensor(predictions)).gt_index
    centers, strides = points.centers.numpy(), points.strides.numpy()[:, 0]
    offset = 0
    for image, (gt_boxes, gt_labels) in enumerate(zip(boxes, labels, strict=True)):
        expected = np.full(len(centers), -1)
        if len(gt_boxes):
            in_box = inside(points, gt_boxes, 0).T
            box_centers = (gt_boxes[:, :2] + gt_boxes[:, 2:]) / 2
            in_square = np.abs(centers[:, None] - box_centers).max(-1) < 2.5 * strides[:, None]
            candidates = np.flatnonzero((in_box | in_square).any(1))
            overlaps = iou_matrix(predictions[image][candidates], gt_boxes)
            giou = iou_matrix(predictions[image][candidates], gt_boxes, generalized=True)
            cost = np.zeros_like(overlaps)
            for row, point in enumerate(candidates):
                for column, label in enumerate(gt_labels):
                    p = scores[image, point]
                    target = np.zeros(NUM_CLASSES)
                    target[label] = overlaps[row, column]
                    weight = np.where(target > 0, target, 0.75 * p**2)
                    cost[row, column] = (-weight * (target * np.log(p) + (1 - target) * np.log(1 - p))).sum()
            cost += 6 * (1 - giou) + 1e8 * ~(in_box & in_square)[candidates]
            match = np.zeros_like(cost, dtype=bool)
            for column in range(len(gt_boxes)):
                count = max(1, int(np.sort(overlaps[:, column])[::-1][:10].sum()))
                match[np.argsort(cost[:, column], kind='stable')[:count], column] = True
            for row, point in enumerate(candidates):
                if match[row].any():
                    expected[point] = cost[row].argmin() if match[row].sum() > 1 else match[row].argmax()
        np.testing.assert_array_equal(result[image].numpy(), np.where(expected >= 0, expected + offset, -1))
        offset += len(gt_boxes)


@pytest.mark.parametrize('assigner', [BatchTaskAlignedAssigner(), make_strict_atss()])
def test_batches_without_boxes(assigner):
    points = make_points(64, 64)
    gt = GroundTruth(torch.zeros(0, 4), torch.zeros(0, dtype=torch.long), torch.zeros(0, dtype=torch.long))
    result = assigner.assign(points, gt, torch.zeros(2, 84, 3), torch.zeros(2, 84, 4))
    assert (result.gt_index == -1).all() and not result.quality.any()
    assert (BatchSimOTAAssigner().assign(points, gt, torch.zeros(2, 84, 3), torch.zeros(2, 84, 4)).gt_index == -1).all()
