"""The images of a report, with labels and predictions drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from ..utils.images import read_image

# The longer side of an image, so that boxes and text can be read and the page stays small.
_SIDE = 640
# BGR; they differ for the color-blind, and in brightness.
_TRUE, _FOUND = (178, 90, 0), (0, 130, 255)
_FONT = cv2.FONT_HERSHEY_SIMPLEX

Boxes = Sequence[tuple[np.ndarray, str]]


def draw_image(image: dict[str, Any]) -> bytes:
    """Return an image as JPEG."""
    return _jpeg(_load(image, _SIDE)[0])


def draw_boxes(image: dict[str, Any], true: Boxes, found: Boxes) -> bytes:
    """Draw boxes xyxy with their text, labels above and thick, detections below and thin, as JPEG."""
    canvas, scale = _load(image, _SIDE)
    for boxes, color, width in ((true, _TRUE, 3), (found, _FOUND, 2)):
        for box, _ in boxes:
            left, top, right, bottom = _corners(box, scale)
            cv2.rectangle(canvas, (left, top), (right, bottom), color, width, cv2.LINE_AA)
    # Over all boxes.
    for box, text in true:
        left, top, _, _ = _corners(box, scale)
        _write(canvas, text, left, top - 16, _TRUE, (255, 255, 255))
    for box, text in found:
        left, _, _, bottom = _corners(box, scale)
        _write(canvas, text, left, bottom + 1, _FOUND, (0, 0, 0))
    return _jpeg(canvas)


def draw_masks(
    image: dict[str, Any],
    masks: Sequence[np.ndarray],
    num_classes: int,
    palette: Sequence[Sequence[int]] | None,
) -> bytes:
    """Draw label maps beside their image, as JPEG.

    Args:
        image: The entry of the image.
        masks: Labels ``(H, W)``; ``num_classes`` stands for no label.
        num_classes: Number of classes.
        palette: RGB color of each class; different hues by default.
    """
    canvas, _ = _load(image, _SIDE)
    hues = np.stack((np.arange(num_classes) * 180 // max(num_classes, 1), *np.full((2, num_classes), 220)), 1)
    colors = np.zeros((256, 3), np.uint8)
    if palette:
        colors[:num_classes] = np.array(palette, np.uint8)[:num_classes, ::-1]
    else:
        colors[:num_classes] = cv2.cvtColor(hues[None].astype(np.uint8), cv2.COLOR_HSV2BGR)[0]
    height, width = canvas.shape[:2]
    parts = [canvas]
    for mask in masks:
        small = cv2.resize(mask.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
        parts += [np.full((height, 6, 3), 255, np.uint8), colors[small]]
    return _jpeg(np.concatenate(parts, 1))


def _load(image: dict[str, Any], side: int) -> tuple[np.ndarray, float]:
    """Read an image at about the size of a report, and its scale; a gray one where the file cannot be read."""
    try:
        pixels = read_image(image['path'])
    except ValueError:
        shape = image['shape'] if len(image['shape']) == 2 else (360, 640)
        pixels = np.full((*shape, 3), 160, np.uint8)
    scale = side / max(pixels.shape[:2])
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    size = [max(round(length * scale), 1) for length in pixels.shape[1::-1]]
    return cv2.resize(pixels, size, interpolation=method), scale


def _corners(box: np.ndarray, scale: float) -> tuple[int, ...]:
    return tuple(round(float(value)) for value in np.asarray(box) * scale)


def _write(canvas: np.ndarray, text: str, left: int, top: int, ground: Sequence[int], color: Sequence[int]) -> None:
    """Write text on a filled ground inside the image."""
    # OpenCV's fonts have ASCII only.
    text = text.encode('ascii', 'replace').decode()
    (width, height), _ = cv2.getTextSize(text, _FONT, 0.45, 1)
    left = int(np.clip(left, 0, max(canvas.shape[1] - width - 4, 0)))
    top = int(np.clip(top, 0, max(canvas.shape[0] - height - 6, 0)))
    cv2.rectangle(canvas, (left, top), (left + width + 3, top + height + 5), ground, cv2.FILLED)
    cv2.putText(canvas, text, (left + 2, top + height + 2), _FONT, 0.45, color, 1, cv2.LINE_AA)


def _jpeg(image: np.ndarray) -> bytes:
    return cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes()
