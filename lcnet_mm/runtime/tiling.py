"""Detection on tiles of a large image, and merging of what was found across their seams."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..utils.errors import UserError
from .results import Detections

# Left, top, right and bottom in pixels of the image.
Tile = tuple[int, int, int, int]
# Two boxes of neighboring tiles are of one object if they overlap so far where both tiles look.
_SAME_OBJECT = 0.5
# A box that ends so close to the border of its tile, in sides of the tile, may go on beyond it.
_MARGIN = 0.01


def split_image(width: int, height: int, tile: tuple[int, int], overlap: float) -> list[Tile]:
    """Split an image into tiles of one size that overlap at least so far, evenly spread.

    Args:
        width: Width of the image.
        height: Height of the image.
        tile: Width and height of the tiles; along a shorter side of the image there is one tile.
        overlap: Share of a tile that its neighbor sees too; objects up to this size are whole in one of them.

    Raises:
        UserError: the tile has no pixels, or the overlap is not within 0 and 0.9.
    """
    if not (min(tile) >= 1 and 0 <= overlap <= 0.9):
        raise UserError(f'tile must have at least 1x1 pixels and overlap be within 0 and 0.9, got {tile} and {overlap}')
    columns, rows = (
        _spread(length, min(side, length), overlap) for length, side in zip((width, height), tile, strict=True)
    )
    return [(left, top, right, bottom) for top, bottom in rows for left, right in columns]


def _spread(length: int, side: int, overlap: float) -> list[tuple[int, int]]:
    """Spread intervals over a length."""
    step = max(1.0, side * (1 - overlap))
    count = 1 + math.ceil((length - side) / step)
    starts = np.linspace(0, length - side, count).round().astype(int)
    return [(int(start), int(start) + side) for start in starts]


def merge_tiles(tiles: Sequence[Tile], parts: Sequence[Detections], width: int, height: int) -> Detections:
    """Merge the detections of tiles into those of the image.

    Two boxes of one class in different tiles are of the same object if their parts in the region that both tiles see
    have an IoU of at least 0.5. Of such boxes, the best that no seam cuts remains; where a seam cuts all of them, the
    box around them. It gets the best score.

    Args:
        tiles: The tiles.
        parts: What was found in each, in pixels of the tile.
        width: Width of the image.
        height: Height of the image.
    """
    corners = np.array(tiles, np.float32)
    index = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    boxes = np.concatenate([part.boxes + corners[i, [0, 1, 0, 1]] for i, part in enumerate(parts)]).astype(np.float32)
    scores = np.concatenate([part.scores for part in parts])
    labels = np.concatenate([part.labels for part in parts])
    order = np.argsort(-scores, kind='stable')
    boxes, scores, labels, seen = boxes[order], scores[order], labels[order], corners[index[order]]
    inside = np.array([0, 0, width, height], np.float32)
    margin = _MARGIN * (seen[:, 2:] - seen[:, :2])[:, [0, 1, 0, 1]]
    is_cut = ((np.abs(boxes - seen) < margin) & (seen != inside)).any(1)

    merged, kept, taken = boxes.copy(), [], np.zeros(len(boxes), bool)
    for best in range(len(boxes)):
        if taken[best]:
            continue
        group = _find_object(best, boxes, labels, seen, taken)
        taken[group] = True
        whole = [member for member in group if not is_cut[member]]
        if whole:
            merged[best] = boxes[min(whole)]
        else:
            merged[best, :2], merged[best, 2:] = boxes[group, :2].min(0), boxes[group, 2:].max(0)
        kept.append(best)
    return Detections(merged[kept], scores[kept], labels[kept], parts[0].names)


def _find_object(start: int, boxes: np.ndarray, labels: np.ndarray, seen: np.ndarray, taken: np.ndarray) -> list[int]:
    """Find all boxes that are of the same object as one, also over a chain of tiles."""
    group, waiting = {start}, [start]
    while waiting:
        member = waiting.pop()
        low = np.maximum(seen[:, :2], seen[member, :2])
        high = np.minimum(seen[:, 2:], seen[member, 2:])
        other_tile = (seen != seen[member]).any(1)
        candidates = np.flatnonzero(~taken & other_tile & (labels == labels[member]) & (low < high).all(1))
        common = np.concatenate([low, high], 1)[candidates]
        first, second = (_clip(box, common) for box in (boxes[member][None], boxes[candidates]))
        inner = _clip(first, second)
        intersection = _area(inner)
        union = _area(first) + _area(second) - intersection
        same = candidates[(intersection > 0) & (intersection >= _SAME_OBJECT * union)]
        new = set(same.tolist()) - group
        group |= new
        waiting.extend(new)
    return sorted(group)


def _clip(boxes: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """Return the part of each box inside its frame; where there is none, a box without area."""
    low = np.maximum(boxes[:, :2], frames[:, :2])
    high = np.maximum(np.minimum(boxes[:, 2:], frames[:, 2:]), low)
    return np.concatenate([low, high], 1)


def _area(boxes: np.ndarray) -> np.ndarray:
    """Return the areas of boxes xyxy."""
    area: np.ndarray = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    return area
