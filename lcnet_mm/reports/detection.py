"""The report of a detector, on any data set of mmdet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .collecting import WORST
from .content import Content, Figure, Table, confusions, describe_shapes, file_name, mean
from .curves import RECALLS, THRESHOLDS, Sweep, merge
from .drawing import draw_boxes
from .figures import draw_bars, draw_curves, draw_matrix, matrix_width
from .matching import IOUS, Truth, iou, match_classes
from .sizes import AREAS

_BACKGROUND = 'background'


def describe_detections(images: Sequence[dict[str, Any]], truths: Sequence[Truth], classes: Sequence[str]) -> Content:
    """Compare detections with the labels of a data set.

    Args:
        images: As in :attr:`~lcnet_mm.reports.ReportMetric.images`.
        truths: The labels of each image.
        classes: Names in the order of the labels.
    """
    matches = match_classes(images, truths, len(classes))
    # (C, 4, 10, 101): class, size, IoU, recall.
    precision = np.stack([match.precision() for match in matches])
    sweeps = [match.sweep() for match in matches]
    together = merge(sweeps)
    threshold = together.best()['threshold']
    matrix, errors = _confusion(images, truths, len(classes), np.inf if threshold is None else threshold)
    rows, per_class = _describe_classes(classes, precision, sweeps)
    by_size = _describe_sizes(precision, matches)
    labels = [truth.labels[~truth.ignored] for truth in truths]
    data = {
        **describe_shapes(images),
        'boxes': sum(map(len, labels)),
        'classes with boxes': f'{sum(bool(sweep.positives) for sweep in sweeps)} of {len(classes)}',
        'images without a box': sum(not len(part) for part in labels),
        'boxes ignored': int(sum(truth.ignored.sum() for truth in truths)),
        'detections': sum(len(image['boxes']) for image in images),
    }
    names = [*classes, _BACKGROUND]
    content = Content(
        Table(('class', 'boxes', 'AP', 'AP50', 'best F1', 'at score', 'precision', 'recall'), rows),
        data,
        dict(
            ap=mean(precision[:, 0]),
            ap50=mean(precision[:, 0, 0]),
            classes=per_class,
            all_classes=together.to_dict(),
            confusion=dict(names=names, iou=float(IOUS[0]), threshold=threshold, counts=matrix.tolist()),
            sizes=by_size,
        ),
        [_size_table(by_size), confusions(matrix, names, 'boxes')],
        _draw_figures(classes, sweeps, together, matrix, by_size),
        _draw_worst(images, truths, classes, errors, np.inf if threshold is None else threshold),
        'Blue: the labels. Orange: what the model found, with its score.',
    )
    if not data['detections']:
        content.notes.append('The model found nothing: every value is 0.')
    if not data['boxes']:
        content.notes.append('The data have no labeled box: there is nothing to compare with.')
    elif lacking := [name for name, sweep in zip(classes, sweeps, strict=True) if not sweep.positives]:
        shown = ', '.join(lacking[:10]) + (' …' if len(lacking) > 10 else '')
        content.notes.append(f'{len(lacking)} of {len(classes)} classes have no labeled box, and no values: {shown}')
    return content


def _describe_classes(
    classes: Sequence[str], precision: np.ndarray, sweeps: Sequence[Sweep]
) -> tuple[list[Sequence[Any]], list[dict[str, Any]]]:
    """Return a row of the table and an entry of the JSON file for each class."""
    rows: list[Sequence[Any]] = []
    entries = []
    for index, (name, sweep) in enumerate(zip(classes, sweeps, strict=True)):
        ap, ap50, best = mean(precision[index, 0]), mean(precision[index, 0, 0]), sweep.best()
        rows.append((name, sweep.positives, ap, ap50, best['f1'], best['threshold'], best['precision'], best['recall']))
        sizes = {size: mean(precision[index, number]) for number, size in enumerate(AREAS, 1)}
        entries.append(dict(name=name, boxes=sweep.positives, ap=ap, ap50=ap50, ap_by_size=sizes, **sweep.to_dict()))
    return rows, entries


def _describe_sizes(precision: np.ndarray, matches: Sequence[Any]) -> dict[str, Any]:
    """Return boxes and AP of each size."""
    boxes = np.sum([match.positives for match in matches], 0)
    return {
        size: dict(boxes=int(boxes[number]), ap=mean(precision[:, number]), ap50=mean(precision[:, number, 0]))
        for number, size in enumerate(AREAS, 1)
    }


def _size_table(by_size: dict[str, Any]) -> Table:
    limits = {'small': 'below 32x32', 'medium': '32x32 to 96x96', 'large': 'above 96x96'}
    rows = [(f'{size}, {limits[size]} pixels', *values.values()) for size, values in by_size.items()]
    return Table(('size', 'boxes', 'AP', 'AP50'), rows, 'By size of the object')


def _confusion(
    images: Sequence[dict[str, Any]], truths: Sequence[Truth], num_classes: int, threshold: float
) -> tuple[np.ndarray, np.ndarray]:
    """Match boxes whatever their class.

    Returns:
        Counts ``(C + 1, C + 1)`` by true and predicted class, the last one being the background; and for each image
        the number of boxes that were missed, found where there is none, or found as another class.
    """
    matrix = np.zeros((num_classes + 1, num_classes + 1), int)
    errors = np.zeros(len(images), int)
    for number, (image, truth) in enumerate(zip(images, truths, strict=True)):
        kept = image['scores'] >= threshold
        boxes, labels = image['boxes'][kept].astype(float), image['labels'][kept]
        boxes[:, 2:] -= boxes[:, :2]
        overlaps = iou(boxes, truth)
        true = np.full(len(boxes), num_classes)
        free = ~truth.ignored
        pairs = np.argwhere((overlaps >= IOUS[0]) & free)
        # The largest IoU first; of equal ones, that of the right class.
        right = labels[pairs[:, 0]] == truth.labels[pairs[:, 1]]
        for row, column in pairs[np.lexsort((~right, -overlaps[tuple(pairs.T)]))]:
            if free[column] and true[row] == num_classes:
                true[row], free[column] = truth.labels[column], False
        in_ignored = (true == num_classes) & ((overlaps >= IOUS[0]) & truth.ignored).any(1)
        np.add.at(matrix, (true[~in_ignored], labels[~in_ignored]), 1)
        np.add.at(matrix, (truth.labels[free], num_classes), 1)
        errors[number] = np.sum(true[~in_ignored] != labels[~in_ignored]) + free.sum()
    return matrix, errors


def _draw_figures(
    classes: Sequence[str], sweeps: Sequence[Sweep], together: Sweep, matrix: np.ndarray, by_size: dict[str, Any]
) -> list[Figure]:
    known = [(name, sweep) for name, sweep in zip(classes, sweeps, strict=True) if sweep.positives]
    precision = [(name, sweep.precision_curve()) for name, sweep in known]
    f1 = [(name, sweep.f1_curve()) for name, sweep in known]
    figures = []
    if known:
        average = ('mean', np.mean([curve for _, curve in precision], 0))
        figures += [
            Figure(
                'Precision and recall',
                draw_curves(RECALLS, precision, average, ('recall', 'precision')),
                f'At an IoU of {IOUS[0]}. Where a curve ends at 0, more is not found with any threshold.',
            ),
            Figure(
                'F1 by threshold of the score',
                draw_curves(THRESHOLDS, f1, ('all classes', together.f1_curve()), ('threshold', 'F1')),
                'One threshold for all classes is best where the black line is highest; the best of each class is in '
                'the table.',
            ),
        ]
    threshold = together.best()['threshold']
    text = f'at a score of at least {threshold:.3f}' if threshold is not None else 'with no detection'
    counts = {size: values['boxes'] for size, values in by_size.items()}
    figures += [
        Figure(
            'AP by size',
            draw_bars([f'{size}\n{counts[size]} boxes' for size in by_size], [v['ap'] for v in by_size.values()], 'AP'),
        ),
        Figure('Boxes by class', draw_bars(list(classes), [sweep.positives for sweep in sweeps], 'boxes')),
        Figure(
            'Confusion matrix',
            draw_matrix(matrix, [*classes, _BACKGROUND]),
            f'Boxes by class {text} and an IoU of at least {IOUS[0]}. Those in the last column were missed, those in '
            'the last row were found where nothing is labeled. Colors are shares of a row.',
            'png',
            matrix_width(len(classes) + 1),
        ),
    ]
    return figures


def _draw_worst(
    images: Sequence[dict[str, Any]],
    truths: Sequence[Truth],
    classes: Sequence[str],
    errors: np.ndarray,
    threshold: float,
) -> list[Figure]:
    figures = []
    for number in np.argsort(-errors, kind='stable')[:WORST]:
        if not errors[number]:
            break
        image, truth = images[number], truths[number]
        kept = image['scores'] >= threshold
        found = [
            (box, f'{classes[label]} {score:.2f}')
            for box, label, score in zip(
                image['boxes'][kept], image['labels'][kept], image['scores'][kept], strict=True
            )
        ]
        true = [
            (box, f'{classes[label]}{" (ignored)" if ignored else ""}')
            for box, label, ignored in zip(truth.boxes, truth.labels, truth.ignored, strict=True)
        ]
        count = int(errors[number])
        text = f'{count} error{"s" if count > 1 else ""}: {len(true)} labels, {len(found)} detections'
        figures.append(Figure(file_name(image), draw_boxes(image, true, found), text, 'jpeg'))
    return figures
