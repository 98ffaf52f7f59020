"""Time the stages of an exported model separately: preprocessing, network, post-processing, and the whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..runtime.detector import Detector
from ..runtime.models import Model
from ..runtime.preprocessing import apply_steps
from ..utils.timing import Latency, time_in_turn


def time_stages(model: Model, image: np.ndarray, rounds: int, warmup: int = 10) -> dict[str, Latency]:
    """Time the stages of the runtime on an image, in turn.

    Args:
        model: An export, opened with the number of threads to measure on.
        image: BGR ``(H, W, 3)`` uint8. Use a real one, because NMS takes longer the more objects are found.
        rounds: Number of rounds that are recorded.
        warmup: Number of rounds before them that are not.

    Returns:
        The times of ``preprocessing`` (the resize; color order and normalization are part of the network), ``network``,
        ``post-processing`` and ``whole``, which is measured and not the sum.
    """
    array, geometry = model.prepare(image)
    request = model.compiled.create_infer_request()
    request.infer([array[None]], share_inputs=True)
    calls: dict[str, Callable[[], Any]] = {
        'preprocessing': lambda: apply_steps(image, model.description['input']),
        'network': lambda: request.infer([array[None]], share_inputs=True),
        'post-processing': lambda: model.finish(model.outputs(request), geometry),
        'whole': lambda: model(image),
    }
    return time_in_turn(calls, rounds, warmup)


def realistic_scores(
    num_points: int, num_classes: int, rng: np.random.Generator, num_objects: int = 8
) -> tuple[np.ndarray, np.ndarray]:
    """Draw scores and boxes like those of a trained detector: a few clusters, the rest far below any threshold.

    Uniformly random scores are so similar that either all or none of them would pass the threshold of NMS.

    Args:
        num_points: Number of points of all levels.
        num_classes: Number of classes.
        rng: Source of randomness.
        num_objects: Number of objects in the image; up to 30 points find each of them, in two classes.

    Returns:
        Scores ``(num_points, num_classes)`` and boxes ``(num_points, 4)`` xyxy, in an image of side 1000.
    """
    scores = rng.exponential(0.002, (num_points, num_classes)).astype(np.float32)
    corner = rng.uniform(0, 900, (num_points, 2))
    boxes = np.concatenate((corner, corner + rng.uniform(10, 100, (num_points, 2))), 1).astype(np.float32)
    for points in rng.choice(num_points, (num_objects, min(30, num_points // num_objects)), replace=False):
        label, other = rng.choice(num_classes, 2, replace=num_classes < 2)
        confidence = np.sort(rng.beta(1.2, 3.0, len(points)))[::-1]
        scores[points, label], scores[points, other] = confidence, 0.2 * confidence
        start = rng.uniform(0, 700, 2)
        box = np.concatenate((start, start + rng.uniform(60, 300, 2)))
        boxes[points] = box + rng.normal(0, 4, (len(points), 4))
    return scores, boxes


def suppression(num_points: int, num_classes: int = 80) -> Callable[[], Any]:
    """Return a function to be timed: the runtime's NMS on :func:`realistic_scores`, with PicoDet's thresholds."""
    scores, boxes = realistic_scores(num_points, num_classes, np.random.default_rng(0))
    settings = dict(score_threshold=0.025, iou_threshold=0.6, max_per_image=100)
    return lambda: Detector.suppress(scores, boxes, settings)
