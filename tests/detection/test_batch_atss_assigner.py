import numpy as np
import pytest
import torch
from atss_reference import assign_one_image, make_points, random_boxes

from lcnet_mm.detection import BatchATSSAssigner
from lcnet_mm.detection.structures import GroundTruth, Points


def assign(points: Points, gt: GroundTruth, num_images: int) -> torch.Tensor:
    """Assign without predictions, which ATSS does not use."""
    size = num_images, len(points.centers)
    return BatchATSSAssigner().assign(points, gt, torch.zeros(*size, 1), torch.zeros(*size, 4)).gt_index


@pytest.mark.parametrize('seed', range(5))
def test_equals_the_reference(seed):
    rng = np.random.default_rng(seed)
    points = make_points(256, 320)
    per_image = [random_boxes(rng, count, 256, 320) for count in (3, 0, 25, 1)]
    gt = GroundTruth(
        torch.tensor(np.concatenate(per_image), dtype=torch.float),
        torch.zeros(29, dtype=torch.long),
        torch.tensor([0] * 3 + [2] * 25 + [3]),
    )
    assigned = assign(points, gt, 4)
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
    assert (assign(points, empty, 2) == -1).all()
    one = GroundTruth(torch.tensor([[3.0, 5.0, 60.0, 50.0]]), torch.tensor([1]), torch.tensor([1]))
    assigned = assign(points, one, 2)
    assert (assigned[0] == -1).all()
    assert (assigned[1] == 0).any()


def test_memory_for_five_hundred_boxes_per_image_is_that_of_the_distances():
    points = make_points(320, 320)
    rng = np.random.default_rng(0)
    boxes = torch.tensor(random_boxes(rng, 8 * 500, 320, 320), dtype=torch.float)
    gt = GroundTruth(boxes, torch.zeros(4000, dtype=torch.long), torch.arange(8).repeat_interleave(500))
    assigned = assign(points, gt, 8)
    owner = gt.image_index[assigned.clamp(min=0)]
    images = torch.arange(8)[:, None].expand_as(owner)
    assert (owner[assigned >= 0] == images[assigned >= 0]).all()
    centers = points.centers.expand(8, -1, -1)[assigned >= 0]
    inside = gt.boxes[assigned[assigned >= 0]]
    assert ((centers > inside[:, :2]) & (centers < inside[:, 2:])).all()
