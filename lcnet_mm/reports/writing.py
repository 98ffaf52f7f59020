"""Writing the page and the JSON file of a report."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment
from mmengine.config import Config

from ..data.spec import resolve_config
from ..utils.errors import UserError, as_user_error
from ..utils.files import atomic_path, make_folder, sha256
from ..utils.machine import describe_machine
from .collecting import ReportMetric
from .content import Content
from .latency import measure_export
from .page import PAGE

_HTML, _JSON = 'report.html', 'report.json'
# The first entry of the JSON file, by which a folder is known as a report.
_FORMAT = 'lcnet_mm report 1'


def check_report_folder(folder: str | Path) -> None:
    """Check, before anything is computed, that a report can be written to a folder.

    Raises:
        UserError: it is a file, cannot be written to, or has files and no earlier report.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise UserError(f'the report cannot be written to {folder}, which is a file; choose a folder')
    if folder.is_dir():
        if any(folder.iterdir()) and not _is_report(folder):
            raise UserError(f'folder {folder} has files and no earlier report; choose a new or an empty folder')
        # At once, not after the evaluation.
        make_folder(folder)
    else:
        parent = next(path for path in folder.absolute().parents if path.exists())
        if not parent.is_dir() or not os.access(parent, os.W_OK):
            raise UserError(f'the report cannot be written to {folder}: {parent} cannot be written to')


def _is_report(folder: Path) -> bool:
    try:
        with (folder / _JSON).open(encoding='utf-8') as file:
            return json.dumps(dict(format=_FORMAT))[:-1] == file.read(len(_FORMAT) + 13)
    except (OSError, ValueError):
        return False


def write_report(
    folder: str | Path,
    cfg: Config,
    checkpoint: str | Path,
    metrics: dict[str, Any],
    collected: ReportMetric,
    dataset: Any,
    coco_metric: Any = None,
) -> Path:
    """Write ``report.html``, which needs no other file, and ``report.json``.

    Both appear when they are complete, and replace those of an earlier report.

    Args:
        folder: Where to write them.
        cfg: The config of the evaluation.
        checkpoint: The checkpoint; it is exported to measure its latency.
        metrics: What the config's metrics gave.
        collected: The predictions.
        dataset: The data set that was evaluated, with all its wrappers.
        coco_metric: mmdet's ``CocoMetric`` of the evaluation, whose labels are then the ones that it has compared
            with; otherwise the labels are those of ``dataset``.

    Returns:
        The page.

    Raises:
        UserError: as :func:`check_report_folder`, or the files cannot be written.
    """
    check_report_folder(folder)
    spec = resolve_config(cfg)
    classes = [str(name) for name in dataset.metainfo['classes']]
    content = _describe(collected, dataset, classes, spec.palette, coco_metric)
    image = next((image['path'] for image in collected.images if Path(image['path']).is_file()), None)
    latency = dict(missing='no image') if image is None else measure_export(cfg, checkpoint, image)
    machine = describe_machine()
    report = dict(
        format=_FORMAT,
        task=collected.task,
        config=str(cfg.filename),
        checkpoint=str(checkpoint),
        checkpoint_sha256=sha256(checkpoint) if Path(checkpoint).is_file() else None,
        created=datetime.now().astimezone().isoformat(timespec='seconds'),
        metrics=_plain(metrics),
        data=content.data,
        # A network whose outputs are NaN has thresholds that are.
        **_plain(content.values),
        worst=[dict(image=figure.title, text=figure.text) for figure in content.worst],
        latency=latency,
        notes=content.notes,
        machine=machine,
    )
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    page = environment.from_string(PAGE, globals=dict(show=_show)).render(
        title=Path(str(cfg.filename)).stem or 'model',
        report=report,
        content=content,
        config_text=cfg.pretty_text,
    )
    target = Path(folder)
    is_new = not target.exists()
    try:
        with as_user_error(f'report {target} cannot be written', OSError):
            make_folder(target)
            with atomic_path(target / _HTML) as html, atomic_path(target / _JSON) as values:
                html.write_text(page, encoding='utf-8')
                values.write_text(json.dumps(report, allow_nan=False) + '\n', encoding='utf-8')
    except UserError:
        if is_new:
            with suppress(OSError):
                target.rmdir()
        raise
    return target / _HTML


def _describe(
    collected: ReportMetric,
    dataset: Any,
    classes: list[str],
    palette: Sequence[Sequence[int]] | None,
    coco_metric: Any,
) -> Content:
    # Imported where it is needed: a segmentor or a classifier needs no pycocotools.
    if collected.task == 'detection':
        from .detection import describe_detections
        from .truths import truths_of_coco, truths_of_dataset

        images = collected.images
        truths = truths_of_dataset(images, dataset) if coco_metric is None else truths_of_coco(images, coco_metric)
        return describe_detections(images, truths, classes)
    if collected.task == 'segmentation':
        from .segmentation import describe_segmentation

        return describe_segmentation(collected.images, classes, palette)
    from .classification import describe_classification

    return describe_classification(collected.images, classes)


def _plain(value: Any) -> Any:
    """Return values as JSON has them, which has no NaN."""
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if isinstance(value, dict):
        return {name: _plain(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    return value if value is None or isinstance(value, int | str) else str(value)


def _show(value: Any) -> str:
    """Return a value for a table."""
    if value is None or value != value:
        return '-'
    if isinstance(value, float):
        return f'{value:.3f}' if abs(value) < 100 else f'{value:.1f}'
    return f'{value:,}' if isinstance(value, int) else str(value)
