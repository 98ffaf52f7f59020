"""The demos: data, training, evaluation, images, export and a summary in one call."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.config import Config

from ..apis import deploy, load_config, predict, read_checkpoint, test, train
from ..apis.records import find_change, record_config
from ..apis.train import newest_checkpoint
from ..data import prepare_cityscapes
from ..data.spec import pipeline_size, test_pipeline
from ..deploy.export import Export
from ..deploy.parity import format_table
from ..runtime import load_model
from ..utils.errors import UserError, as_user_error
from ..utils.files import write_json
from ..utils.images import find_images, read_image, write_image
from . import make_digits_dataset, make_streets_dataset

# Drawn into the mosaic and used to time the export.
_NUM_IMAGES = 12
_SPLITS = ('train', 'val', 'test')
_LABELS = {'bbox_mAP': 'mAP 0.50:0.95', 'bbox_mAP_50': 'mAP 0.50', 'mIoU': 'mIoU, %', 'aAcc': 'pixels right, %'}


@dataclass(frozen=True)
class _Task:
    """What differs between the demos.

    Attributes:
        config: The config to train.
        deploy_config: The deploy config of its export.
        data_dir: Folder of its data.
        work_dir: Folder of its results.
        make_data: Makes the data in a folder, or keeps them.
        data_options: Returns the overrides of the config for data in another folder, besides the data root.
        validation_images: Folder of the validation images, inside the folder of the data.
        metrics: Name of each metric in the summary, and its name in the evaluation.
        tile: Width and height of an image in the mosaic.
    """

    config: str
    deploy_config: str
    data_dir: Path
    work_dir: Path
    make_data: Callable[[Path], Any]
    data_options: Callable[[Path], dict[str, Any]]
    validation_images: str
    metrics: dict[str, str]
    tile: tuple[int, int]


def _digits_options(data_dir: Path) -> dict[str, Any]:
    """Return the digits' annotation file for the evaluators."""
    file = str(data_dir / 'annotations' / 'instances_val2017.json')
    return {f'{split}_evaluator.ann_file': file for split in ('val', 'test')}


def _make_streets(data_dir: Path) -> None:
    """Make the street scenes, and convert their labels as those of Cityscapes are."""
    make_streets_dataset(data_dir)
    report = prepare_cityscapes(data_dir)
    if not report.ok:
        raise UserError(f'{data_dir} is damaged: {report.findings[0].format()}; delete it and run this again')


_TASKS = {
    'detection': _Task(
        config='configs/demo/lcnet_0.5x_digits.py',
        deploy_config='configs/deploy/detection_openvino_static-320x320.py',
        data_dir=Path('data/digits'),
        work_dir=Path('work_dirs/demo'),
        make_data=lambda folder: make_digits_dataset(folder),
        data_options=_digits_options,
        validation_images='val2017',
        metrics={'bbox_mAP': 'coco/bbox_mAP', 'bbox_mAP_50': 'coco/bbox_mAP_50'},
        tile=(320, 320),
    ),
    'segmentation': _Task(
        config='configs/demo/lcnet_0.5x_streets.py',
        deploy_config='configs/deploy/segmentation_openvino_static-512x1024.py',
        data_dir=Path('data/streets'),
        work_dir=Path('work_dirs/demo_seg'),
        make_data=_make_streets,
        data_options=lambda _: {},
        validation_images='leftImg8bit/val',
        metrics={'mIoU': 'mIoU', 'aAcc': 'aAcc'},
        tile=(400, 200),
    ),
}
TASKS = tuple(_TASKS)
"""Names of the demos."""


class Demo:
    """A demo with the folders that it reads and writes.

    Args:
        task: One of :data:`TASKS`: 'detection' of handwritten digits, or 'segmentation' of drawn street scenes.
        data_dir: Folder of the data set, which is made if it does not exist; by default ``data/digits`` or
            ``data/streets``.
        work_dir: Folder of checkpoints, logs, images and the summary; by default ``work_dirs/demo`` or
            ``work_dirs/demo_seg``.
        options: Overrides of the config, such as ``{'train_cfg.max_epochs': 2}``.
        config: The config to train; the task's own by default.

    Raises:
        UserError: there is no such task.
    """

    def __init__(
        self,
        task: str,
        data_dir: Path | None = None,
        work_dir: Path | None = None,
        options: dict[str, Any] | None = None,
        config: str | Path | None = None,
    ) -> None:
        if task not in _TASKS:
            raise UserError(f'task {task!r} is unknown; there are {", ".join(TASKS)}')
        self.task = _TASKS[task]
        self.data_dir = data_dir or self.task.data_dir
        self.work_dir = work_dir or self.task.work_dir
        self.config = config or self.task.config
        data_root = {f'{split}_dataloader.dataset.data_root': f'{self.data_dir}{os.sep}' for split in _SPLITS}
        self.options = data_root | self.task.data_options(self.data_dir) | (options or {})

    def load(self) -> Config:
        """Read the config, with the data at ``data_dir`` and the overrides."""
        return load_config(self.config, self.options)


def run_demo(demo: Demo) -> dict[str, Any]:
    """Make data, train on it, evaluate, draw the predictions, export the model, and print a summary.

    A run that was interrupted goes on where it stopped, and a finished training is not repeated, as long as the config
    is the one that it was started with.

    Returns:
        The summary, which is also written to ``work_dir/summary.json``.

    Raises:
        UserError: the data folder holds something else, the work dir holds the training of another config, or a
            checkpoint cannot be read.
    """
    cfg = demo.load()
    checkpoint = newest_checkpoint(demo.work_dir)
    if checkpoint is not None and (change := find_change(demo.work_dir, cfg)):
        raise UserError(
            f'{demo.work_dir} holds another training: {change}; choose another work_dir, or delete this one'
        )
    print(f'1/5 data: {demo.data_dir}')
    with as_user_error('the demo data cannot be made', OSError):
        demo.task.make_data(demo.data_dir)

    by_epoch = 'max_epochs' in cfg.train_cfg
    length = cfg.train_cfg.max_epochs if by_epoch else cfg.train_cfg.max_iters
    unit = 'epoch' if by_epoch else 'iter'
    seconds_file = demo.work_dir / 'training_seconds.json'
    if checkpoint is not None and read_checkpoint(checkpoint)['meta'].get(unit) == length:
        print(f'2/5 training: {checkpoint} is complete')
    else:
        name = 'epochs' if by_epoch else 'iterations'
        print(f'2/5 training: {length} {name}, about 8 minutes on two cores; logs in {demo.work_dir}')
        record_config(demo.work_dir, cfg)
        with _add_seconds(seconds_file):
            train(cfg, work_dir=demo.work_dir, resume='auto')
        checkpoint = newest_checkpoint(demo.work_dir)
    assert checkpoint is not None

    print('3/5 evaluation')
    metrics = test(demo.load(), checkpoint, work_dir=demo.work_dir)

    print('4/5 images')
    images = find_images([demo.data_dir / demo.task.validation_images])[:_NUM_IMAGES]
    result = predict(demo.load(), checkpoint, images, demo.work_dir / 'predictions', score_thr=0.4)
    mosaic = demo.work_dir / 'demo.jpg'
    _draw_mosaic([Path(image['drawing']) for image in result.images], mosaic, demo.task.tile)

    print('5/5 export to OpenVINO')
    export, latency = _export_model(demo, checkpoint, images)

    summary = dict(
        # CocoMetric returns nothing where nothing was detected.
        metrics={key: float(metrics.get(name, 0.0)) for key, name in demo.task.metrics.items()},
        training_seconds=round(json.loads(seconds_file.read_text())) if seconds_file.exists() else None,
        **{f'{unit}s': length},
        threads=torch.get_num_threads(),
        config=str(demo.config),
        checkpoint=checkpoint,
        image=str(mosaic),
        predictions=str(result.json_file),
        export=str(export.work_dir),
        parity=export.passed,
        latency_milliseconds=latency,
    )
    target = demo.work_dir / 'summary.json'
    write_json(target, summary)
    print(_format_summary(summary, target))
    return summary


def _export_model(demo: Demo, checkpoint: str, images: list[Path]) -> tuple[Export, dict[str, float]]:
    """Export the checkpoint at the size that it is tested with, and time the result.

    Returns:
        The export, and the median milliseconds from image to result by number of threads.
    """
    size = pipeline_size(test_pipeline(demo.load()))
    folder = demo.work_dir / 'deploy'
    export = deploy(
        demo.task.deploy_config, demo.config, checkpoint, images[0], folder, input_size=size, options=demo.options
    ).export
    print(format_table(export.comparisons))
    arrays = [read_image(path) for path in images]
    latency = {}
    for threads in sorted({1, torch.get_num_threads()}):
        model = load_model(export.work_dir, threads)
        seconds = []
        for array in arrays * 5:
            start = time.perf_counter()
            model(array)
            seconds.append(time.perf_counter() - start)
        # The first round warms up.
        latency[str(threads)] = round(1e3 * median(seconds[len(arrays) :]), 2)
    return export, latency


@contextmanager
def _add_seconds(file: Path) -> Iterator[None]:
    """Add the seconds spent inside to the number in a file, also when an exception or Ctrl-C ends them."""
    start = time.monotonic()
    try:
        yield
    finally:
        before = json.loads(file.read_text()) if file.exists() else 0.0
        write_json(file, before + time.monotonic() - start)


def _draw_mosaic(images: list[Path], target: Path, tile: tuple[int, int], columns: int = 4) -> None:
    """Put images into one, ``columns`` to a row, each fitted into a tile of a width and height."""
    width, height = tile
    rows = -(-len(images) // columns)
    canvas = np.full((rows * height, columns * width, 3), 255, np.uint8)
    for index, path in enumerate(images):
        image = read_image(path)
        scale = min(width / image.shape[1], height / image.shape[0])
        image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)[:height, :width]
        top = index // columns * height + (height - image.shape[0]) // 2
        left = index % columns * width + (width - image.shape[1]) // 2
        canvas[top : top + image.shape[0], left : left + image.shape[1]] = image
    write_image(target, canvas, cv2.IMWRITE_JPEG_QUALITY, 88)


def _format_summary(summary: dict[str, Any], file: Path) -> str:
    """Return the summary as aligned text."""
    seconds = summary['training_seconds']
    trained = f'{seconds // 60} min {seconds % 60} s' if seconds is not None else 'unknown time'
    length = f'{summary["epochs"]} epochs' if 'epochs' in summary else f'{summary["iters"]} iterations'
    latency = ', '.join(f'{value} ms ({threads} threads)' for threads, value in summary['latency_milliseconds'].items())
    rows = {_LABELS[key]: f'{value:.3f}' for key, value in summary['metrics'].items()}
    rows |= {
        'training': f'{length} in {trained} on {summary["threads"]} threads',
        'checkpoint': summary['checkpoint'],
        'image': summary['image'],
        'predictions': summary['predictions'],
        'OpenVINO': f'{summary["export"]}; the same results: {"yes" if summary["parity"] else "NO"}',
        'latency': f'{latency} from image to result',
        'this summary': str(file),
    }
    width = max(map(len, rows))
    return '\n'.join(['', *(f'  {label:<{width}}  {value}' for label, value in rows.items()), ''])
