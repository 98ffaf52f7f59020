"""The report of a segmentor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from .collecting import WORST
from .content import Content, Figure, Table, confusions, describe_shapes, file_name
from .curves import RECALLS, THRESHOLDS, Sweep
from .drawing import draw_masks
from .figures import draw_bars, draw_curves, draw_matrix, matrix_width
from .sizes import AREAS

_NO_CLASS = 255
# Three images side by side.
_ROW_WIDTH = 640


def describe_segmentation(
    images: Sequence[dict[str, Any]], classes: Sequence[str], palette: Sequence[Sequence[int]] | None = None
) -> Content:
    """Summarize what was counted in each image.

    Args:
        images: As in :attr:`~lcnet_mm.reports.ReportMetric.images`.
        classes: Names in the order of the labels.
        palette: RGB color of each class.
    """
    count = len(classes)
    sums = [image for image in images if 'counts' in image]
    matrix = sum((image['counts'] for image in sums), np.zeros((count, count), int))
    right, true, found = np.diag(matrix), matrix.sum(1), matrix.sum(0)
    figures_of_class = [
        dict(
            iou=_ratio(right[i], true[i] + found[i] - right[i]),
            precision=_ratio(right[i], found[i]),
            recall=_ratio(right[i], true[i]),
            f1=_ratio(2 * right[i], true[i] + found[i]),
        )
        for i in range(count)
    ]
    pixels = int(matrix.sum())
    histograms = [image['probabilities'] for image in sums if 'probabilities' in image]
    sweeps = [Sweep.of_histogram(part) for part in np.sum(histograms, 0)] if histograms else [None] * count
    rows: list[Sequence[Any]] = []
    entries = []
    for i, (name, values, sweep) in enumerate(zip(classes, figures_of_class, sweeps, strict=True)):
        curves = sweep.to_dict() if sweep else {}
        best = curves.get('best_f1', {})
        rows.append((name, _ratio(true[i], pixels), *values.values(), best.get('f1'), best.get('threshold')))
        entries.append(dict(name=name, pixels=int(true[i]), **values, **curves))
    regions = sum((image['regions'] for image in sums), np.zeros((len(AREAS), 2), int))
    by_size = {
        size: dict(pixels=int(total), recall=_ratio(hit, total))
        for size, (total, hit) in zip(AREAS, regions, strict=True)
    }
    columns = ('class', 'share of pixels', 'IoU', 'precision', 'recall', 'F1', 'best F1', 'at probability')
    content = Content(
        Table(columns, rows),
        {
            **describe_shapes(images),
            'labeled pixels': pixels,
            'classes with pixels': f'{int((true > 0).sum())} of {count}',
            'images without a label': sum(not image['labeled'] for image in images),
        },
        dict(classes=entries, confusion=dict(names=list(classes), counts=matrix.tolist()), sizes=by_size),
        [
            Table(
                ('connected region', 'pixels', 'share found'),
                [(size, *values.values()) for size, values in by_size.items()],
                'By size of the region',
                'Small: below 32x32 pixels; large: above 96x96.',
            ),
            confusions(matrix, classes, 'pixels'),
        ],
        _draw_figures(classes, matrix, figures_of_class, sweeps),
        _draw_worst(images, classes, palette),
        'From left to right: the image, the label, the prediction. Black has no label.',
    )
    if lacking := [name for name, number in zip(classes, true, strict=True) if not number]:
        content.notes.append(f'{len(lacking)} of {count} classes have no labeled pixel: {", ".join(lacking[:10])}')
    if not histograms:
        content.notes.append('The model gives no probability for each class: there are no curves.')
    return content


def _ratio(part: float, whole: float) -> float | None:
    return float(part / whole) if whole else None


def _draw_figures(
    classes: Sequence[str],
    matrix: np.ndarray,
    values: Sequence[dict[str, Any]],
    sweeps: Sequence[Sweep | None],
) -> list[Figure]:
    figures = [Figure('IoU by class', draw_bars(list(classes), [value['iou'] for value in values], 'IoU'))]
    known = [(name, sweep) for name, sweep in zip(classes, sweeps, strict=True) if sweep and sweep.positives]
    if known:
        precision = [(name, sweep.precision_curve()) for name, sweep in known]
        f1 = [(name, sweep.f1_curve()) for name, sweep in known]
        average = ('mean', np.mean([curve for _, curve in precision], 0))
        figures += [
            Figure(
                'Precision and recall of pixels',
                draw_curves(RECALLS, precision, average, ('recall', 'precision')),
                'Each class against all others, on a grid of pixels of each image.',
            ),
            Figure(
                'F1 by threshold of the probability',
                draw_curves(THRESHOLDS, f1, ('mean', np.mean([c for _, c in f1], 0)), ('threshold', 'F1')),
            ),
        ]
    figures.append(
        Figure(
            'Confusion matrix',
            draw_matrix(matrix, classes),
            'Pixels by class. Colors are shares of a row.',
            'png',
            matrix_width(len(classes)),
        )
    )
    return figures


def _draw_worst(
    images: Sequence[dict[str, Any]], classes: Sequence[str], palette: Sequence[Sequence[int]] | None
) -> list[Figure]:
    worst = sorted((image for image in images if 'truth' in image), key=lambda image: -image['wrong'])
    figures = []
    for image in worst[:WORST]:
        true, found = (_read_png(image[side]) for side in ('truth', 'prediction'))
        label, other = image['mistake']
        text = f'{image["wrong"]:.1%} of the pixels are wrong; most are {classes[label]} taken for {classes[other]}'
        data = draw_masks(image, (np.where(true == _NO_CLASS, len(classes), true), found), len(classes), palette)
        figures.append(Figure(file_name(image), data, text, 'jpeg', _ROW_WIDTH))
    return figures


def _read_png(data: bytes) -> np.ndarray:
    return np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE))
