"""Reference of ATSS of the paper's time, box by box and point by point."""

import numpy as np
import torch

from lcnet_mm.detection.structures import Points

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
    """Assign box by box and point by point (docs/specification/picodet.md#atss-generation-0)."""
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
    # Irrational-looking coordinates: no two points are equally far from a center, so the reference has no ties.
    centers = rng.uniform([0, 0], [width, height], (count, 2))
    sides = rng.uniform(8, 160, (count, 2))
    boxes = np.concatenate((centers - sides / 2, centers + sides / 2), 1)
    return boxes.clip(0, [width, height, width, height])
