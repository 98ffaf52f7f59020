import numpy as np
import pytest
import torch

from lcnet_mm.detection import BatchATSSAssigner
from lcnet_mm.detection.structures import GroundTruth, Points

STRIDES = (8, 16, 32)


def make_points(height: int, width: int) -> Points:
    centers, strides, sizes = [], [], []
    for stride in STRIDES:
        y, x = torch.meshgrid(torch.arange(height // stride), torch.arange(width // stride), indexing='ij')
        level = (torch.stack((x, y), -1).flatten(0, 1) + 0.5) * stride
        centers.append(level)
        strides.append(torch.full((len(level), 1), float(stride)))
        sizes.append(len(level))
    return Points(torch.cat(centers), torch.cat(strides), sizes)


def assign_one_image(points: Points, boxes: np.ndarray, topk: int = 9, cell_scale: float = 5) -> np.ndarray:
    """The written-out reference: box by box, point by point (docs/specification/picodet.md#atss-generation-0)."""
    centers, strides = points.centers.numpy().astype(np.float64), points.strides.numpy()[:, 0]
    best = np.full(len(centers), -1.0)
    assigned = np.full(len(centers), -1)
    for index, (x1, y1, x2, y2) in enumerate(boxes):
        candidates, start = [], 0
        for size in points.level_sizes:
            distance = np.hypot(
                centers[start : start + size, 0] - (x1 + x2) / 2, centers[start : start + size, 1] - (y1 + y2) / 2
            )
            candidates += list(start + np.argsort(distance, kind='stable')[:topk])
            start += size
        overlaps = []
        for candidate in candidates:
            (x, y), half = centers[candidate], strides[candidate] * cell_scale / 2
            width = max(0, min(x + half, x2) - max(x - half, x1))
            height = max(0, min(y + half, y2) - max(y - half, y1))
            union = (2 * half) ** 2 + (x2 - x1) * (y2 - y1) - width * height
            overlaps.append(width * height / union)
        threshold = np.mean(overlaps) + np.std(overlaps)
        for candidate, overlap in zip(candidates, overlaps, strict=True):
            x, y = centers[candidate]
            inside = min(x - x1, y - y1, x2 - x, y2 - y) > 0.01
            if overlap >= threshold and inside and overlap > best[candidate]:
                best[candidate], assigned[candidate] = overlap, index
    return assigned


def random_boxes(rng: np.random.Generator, count: int, height: int, width: int) -> np.ndarray:
    # Irrational-looking coordinates: no two points are equally far from a centre, so the reference has no ties.
    centers = rng.uniform([0, 0], [width, height], (count, 2))
    sides = rng.uniform(8, 160, (count, 2))
    boxes = np.concatenate((centers - sides / 2, centers + sides / 2), 1)
    return boxes.clip(0, [width, height, width, height])


@pytest.mark.parametrize('seed', range(5))
def test_equals_the_written_out_reference(seed):
    rng = np.random.default_rng(seed)
    points = make_points(256, 320)
    per_image = [random_boxes(rng, count, 256, 320) for count in (3, 0, 25, 1)]
    gt = GroundTruth(
        torch.tensor(np.concatenate(per_image), dtype=torch.float),
        torch.zeros(29, dtype=torch.long),
        torch.tensor([0] * 3 + [2] * 25 + [3]),
    )
    assigned = BatchATSSAssigner().assign(points, gt, num_images=4)
    offset = 0
    for image, boxes in enumerate(per_image):
        expected = assign_one_image(points, boxes)
        expected = np.where(expected >= 0, expected + offset, -1)
        np.testing.assert_array_equal(assigned[image].numpy(), expected)
        offset += len(boxes)
    assert (assigned >= 0).sum() > 29


def test_no_boxes_and_levels_smaller_than_topk():
    points = make_points(64, 64)
    assert points.level_sizes == [64, 16, 4]
    empty = GroundTruth(torch.zeros(0, 4), torch.zeros(0, dtype=torch.long), torch.zeros(0, dtype=torch.long))
    assert (BatchATSSAssigner().assign(points, empty, 2) == -1).all()
    one = GroundTruth(torch.tensor([[3.0, 5.0, 60.0, 50.0]]), torch.tensor([1]), torch.tensor([1]))
    assigned = BatchATSSAssigner().assign(points, one, 2)
    assert (assigned[0] == -1).all()
    assert (assigned[1] == 0).any()


def test_five_hundred_boxes_per_image_take_the_memory_of_their_distances():
    points = make_points(320, 320)
    rng = np.random.default_rng(0)
    boxes = torch.tensor(random_boxes(rng, 8 * 500, 320, 320), dtype=torch.float)
    gt = GroundTruth(boxes, torch.zeros(4000, dtype=torch.long), torch.arange(8).repeat_interleave(500))
    assigned = BatchATSSAssigner().assign(points, gt, 8)
    owner = gt.image_index[assigned.clamp(min=0)]
    images = torch.arange(8)[:, None].expand_as(owner)
    assert (owner[assigned >= 0] == images[assigned >= 0]).all()
    centers = points.centers.expand(8, -1, -1)[assigned >= 0]
    inside = gt.boxes[assigned[assigned >= 0]]
    assert ((centers > inside[:, :2]) & (centers < inside[:, 2:])).all()
