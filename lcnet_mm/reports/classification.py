"""The report of a classifier with one label for each image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .collecting import WORST
from .content import Content, Figure, Table, confusions, describe_shapes, file_name
from .curves import RECALLS, THRESHOLDS, Sweep
from .drawing import draw_image
from .figures import draw_bars, draw_curves, draw_matrix, matrix_width


def describe_classification(images: Sequence[dict[str, Any]], classes: Sequence[str]) -> Content:
    """Compare scores with labels.

    Args:
        images: As in :attr:`~lcnet_mm.reports.ReportMetric.images`.
        classes: Names in the order of the labels.
    """
    count = len(classes)
    scores = np.stack([image['scores'] for image in images]) if images else np.zeros((0, count), np.float32)
    true = np.array([image['label'] for image in images], int)
    predicted = scores.argmax(1)
    matrix = np.bincount(true * count + predicted, minlength=count**2).reshape(count, count)
    sweeps = [Sweep.of_scores(scores[:, i], true == i, int((true == i).sum())) for i in range(count)]
    rows: list[Sequence[Any]] = []
    entries = []
    for i, (name, sweep) in enumerate(zip(classes, sweeps, strict=True)):
        right, total, found = int(matrix[i, i]), int(matrix[i].sum()), int(matrix[:, i].sum())
        values: dict[str, float | None] = dict(
            precision=right / found if found else None,
            recall=right / total if total else None,
            f1=2 * right / (total + found) if total else None,
            ap=sweep.average_precision,
        )
        best = sweep.best()
        rows.append((name, total, *values.values(), best['f1'], best['threshold']))
        entries.append(dict(name=name, images=total, **values, **sweep.to_dict()))
    columns = ('class', 'images', 'precision', 'recall', 'F1', 'AP', 'best F1', 'at score')
    content = Content(
        Table(columns, rows, text='Precision and recall of the class with the highest score.'),
        {
            **describe_shapes(images),
            'classes with images': f'{len(np.unique(true))} of {count}',
            'wrong': int((true != predicted).sum()),
        },
        dict(
            accuracy=float((true == predicted).mean()) if images else None,
            classes=entries,
            confusion=dict(names=list(classes), counts=matrix.tolist()),
        ),
        [confusions(matrix, classes, 'images')],
        _draw_figures(classes, matrix, sweeps),
        _draw_worst(images, scores, true, predicted, classes),
        'The images with the most certain mistakes.',
    )
    if lacking := [name for name, sweep in zip(classes, sweeps, strict=True) if not sweep.positives]:
        content.notes.append(f'{len(lacking)} of {count} classes have no image: {", ".join(lacking[:10])}')
    return content


def _draw_figures(classes: Sequence[str], matrix: np.ndarray, sweeps: Sequence[Sweep]) -> list[Figure]:
    known = [(name, sweep) for name, sweep in zip(classes, sweeps, strict=True) if sweep.positives]
    precision = [(name, sweep.precision_curve()) for name, sweep in known]
    f1 = [(name, sweep.f1_curve()) for name, sweep in known]
    figures = []
    if known:
        averages = [('mean', np.mean([curve for _, curve in curves], 0)) for curves in (precision, f1)]
        figures += [
            Figure(
                'Precision and recall',
                draw_curves(RECALLS, precision, averages[0], ('recall', 'precision')),
                'Each class against all others.',
            ),
            Figure('F1 by threshold of the score', draw_curves(THRESHOLDS, f1, averages[1], ('threshold', 'F1'))),
        ]
    figures += [
        Figure('Images by class', draw_bars(list(classes), matrix.sum(1).tolist(), 'images')),
        Figure(
            'Confusion matrix',
            draw_matrix(matrix, classes),
            'Images by class. Colors are shares of a row.',
            'png',
            matrix_width(len(classes)),
        ),
    ]
    return figures


def _draw_worst(
    images: Sequence[dict[str, Any]],
    scores: np.ndarray,
    true: np.ndarray,
    predicted: np.ndarray,
    classes: Sequence[str],
) -> list[Figure]:
    rows = np.arange(len(images))
    margin = scores[rows, predicted] - scores[rows, true]
    figures = []
    for number in np.argsort(-margin, kind='stable')[:WORST]:
        if true[number] == predicted[number]:
            break
        told = [f'{classes[label]} {scores[number, label]:.2f}' for label in (true[number], predicted[number])]
        text = f'labeled {told[0]}, predicted {told[1]}'
        figures.append(Figure(file_name(images[number]), draw_image(images[number]), text, 'jpeg'))
    return figures
