"""Predictions as drawings and as JSON."""

from __future__ import annotations

import colorsys
from typing import Any

import cv2
import numpy as np

from .models import Model
from .results import Detections


def class_color(label: int) -> tuple[int, int, int]:
    """Return a BGR color for a class; neighboring classes differ clearly."""
    red, green, blue = colorsys.hsv_to_rgb(label * 0.618034 % 1, 0.75, 0.95)
    return int(255 * blue), int(255 * green), int(255 * red)


def draw(model: Model, image: np.ndarray, result: Any, score_thr: float) -> np.ndarray:
    """Draw a prediction on a copy of the BGR image."""
    canvas = image.copy()
    if isinstance(result, Detections):
        return draw_detections(canvas, result, score_thr)
    if result.ndim == 2:
        colors = model.description.get('palette')
        palette = np.array(
            [class_color(label) for label in range(max(256, len(model.classes), len(colors or ())))], np.uint8
        )
        if colors:
            palette[: len(colors)] = np.array(colors)[:, ::-1]
        canvas = cv2.addWeighted(canvas, 0.4, palette[result], 0.6, 0)
    else:
        best = int(result.argmax())
        draw_label(canvas, (2, 2), f'{model.class_name(best)} {result[best]:.3f}', class_color(best))
    return canvas


def draw_detections(canvas: np.ndarray, found: Detections, score_thr: float) -> np.ndarray:
    """Draw detections of at least a score on the BGR image itself, and return it.

    A track has a color of its own, and its number before the class.
    """
    found = found.select(found.scores >= score_thr)
    tracks = [-1] * len(found) if found.track_ids is None else found.track_ids.tolist()
    for box, score, label, track in zip(*found, tracks, strict=True):
        name = found.name_of(int(label))
        text = f'{name} {score:.2f}' if track < 0 else f'#{track} {name} {score:.2f}'
        draw_box(canvas, box, text, class_color(int(label) if track < 0 else track))
    return canvas


def draw_box(canvas: np.ndarray, box: np.ndarray, text: str, color: tuple[int, int, int]) -> None:
    """Draw a box xyxy with its text above it, or inside where there is no room."""
    left, top, right, bottom = (round(float(value)) for value in box)
    cv2.rectangle(canvas, (left, top), (right, bottom), color, 2)
    draw_label(canvas, (left, top - 14 if top >= 14 else top), text, color)


def draw_label(canvas: np.ndarray, corner: tuple[int, int], text: str, color: tuple[int, int, int]) -> None:
    """Write text on a filled ground, its top left at ``corner``."""
    (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.4, 1)
    left, top = corner
    cv2.rectangle(canvas, (left, top), (left + width + 2, top + height + 5), color, cv2.FILLED)
    cv2.putText(canvas, text, (left + 1, top + height + 2), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 0, 0), 1, cv2.LINE_AA)


def to_json(model: Model, result: Any, score_thr: float) -> dict[str, Any]:
    """Return a prediction as JSON types; a mask as the share of each class in it."""
    if isinstance(result, Detections):
        return dict(detections=result.select(result.scores >= score_thr).describe())
    if result.ndim == 2:
        counts = np.bincount(result.ravel(), minlength=len(model.classes))
        return dict(shares={model.class_name(i): float(n / result.size) for i, n in enumerate(counts) if n})
    best = [int(label) for label in np.argsort(-result)[:5]]
    return dict(
        top=[{'class': model.class_name(label), 'label': label, 'score': float(result[label])} for label in best]
    )
