"""The labels that a detector is compared with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .matching import Truth


def truths_of_coco(images: Sequence[dict[str, Any]], metric: Any) -> list[Truth]:
    """Return the labels that mmdet's ``CocoMetric`` has compared with, after its evaluation.

    Args:
        images: As in :attr:`~lcnet_mm.reports.ReportMetric.images`.
        metric: The metric.
    """
    label_of = {category: label for label, category in enumerate(metric.cat_ids)}
    truths = []
    for image in images:
        entries = [entry for entry in metric._coco_api.imgToAnns[image['id']] if entry['category_id'] in label_of]
        boxes = [(x, y, x + width, y + height) for x, y, width, height in (entry['bbox'] for entry in entries)]
        labels = [label_of[entry['category_id']] for entry in entries]
        ignored = [entry.get('iscrowd', 0) for entry in entries]
        truths.append(Truth.of_boxes(boxes, labels, ignored, [entry['area'] for entry in entries]))
    return truths


def truths_of_dataset(images: Sequence[dict[str, Any]], dataset: Any) -> list[Truth]:
    """Return the labels of a data set of mmdet.

    Args:
        images: As in :attr:`~lcnet_mm.reports.ReportMetric.images`.
        dataset: The data set, with all its wrappers.
    """
    by_path = {}
    for number in range(len(dataset)):
        info = dataset.get_data_info(number)
        by_path[str(info.get('img_path') or '')] = info.get('instances') or []
    truths = []
    for image in images:
        found = by_path[image['path']]
        boxes, labels = [entry['bbox'] for entry in found], [entry['bbox_label'] for entry in found]
        truths.append(Truth.of_boxes(boxes, labels, [entry.get('ignore_flag', 0) for entry in found]))
    return truths
