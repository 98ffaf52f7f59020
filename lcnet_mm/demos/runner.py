"""The demos: data, training, evaluation, images, export and a summary in one call."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.config import Config

from ..apis import load_config, predict, read_checkpoint, test, train
from ..apis.train import newest_checkpoint
from ..data import prepare_cityscapes
from ..data.spec import pipeline_size, test_pipeline
from ..deploy.export import Export, deploy
from ..deploy.parity import format_table
from ..runtime import load_model
from ..utils.errors import UserError, as_user_error
from ..utils.files import write_json
from ..utils.images import find_images, read_image, write_image
from . import make_digits_dataset, make_streets_dataset

NUM_IMAGES = 12
SPLITS = ('train', 'val', 'test')


@dataclass(frozen=True)
class Task:
    """What differs between the demos.

    Attributes:
        config: The config to train.
        deploy_config: The deploy config of its export.
        data_dir: Folder of its data.
        work_dir: Folder of its results.
        make_data: Makes the data in a folder, or keeps them.
        data_options: Overrides of the config for data in another folder.
        validation_images: Folder of the validation images in the data's.
        metrics: Key of each metric in the summary, and its key in the evaluation.
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


def digits_options(data_dir: Path) -> dict[str, Any]:
    """Return the digits' annotation file for the evaluators."""
    file = str(data_dir / 'annotations' / 'instances_val2017.json')
    return {f'{split}_evaluator.ann_file': file for split in ('val', 'test')}


def make_streets(data_dir: Path) -> None:
    """Make the street scenes and convert their labels as Cityscapes' are."""
    make_streets_dataset(data_dir)
    report = prepare_cityscapes(data_dir)
    if not report.ok:
        raise UserError(f'{data_dir} is damaged: {report.findings[0].format()}; delete it and run this again')


TASKS = {
    'detection': Task(
        config='configs/demo/lcnet_0.5x_digits.py',
        deploy_config='configs/deploy/detection_openvino_static-320x320.py',
        data_dir=Path('data/digits'),
        work_dir=Path('work_dirs/demo'),
        make_data=lambda folder: make_digits_dataset(folder),
        data_options=digits_options,
        validation_images='val2017',
        metrics={'bbox_mAP': 'coco/bbox_mAP', 'bbox_mAP_50': 'coco/bbox_mAP_50'},
        tile=(320, 320),
    ),
    'segmentation': Task(
        config='configs/demo/lcnet_0.5x_streets.py',
        deploy_config='configs/deploy/segmentation_openvino_static-512x1024.py',
        data_dir=Path('data/streets'),
        work_dir=Path('work_dirs/demo_seg'),
        make_data=make_streets,
        data_options=lambda _: {},
        validation_images='leftImg8bit/val',
        metrics={'mIoU': 'mIoU', 'aAcc': 'aAcc'},
        tile=(400, 200),
    ),
}


@dataclass
class Demo:
    """A demo with the places that it reads and writes.

    Attributes:
        task: One of :data:`TASKS`.
        data_dir: Folder of the data set; it is made if it does not exist. The task's own by default.
        work_dir: Folder of checkpoints, logs, images and the summary; the task's own by default.
        options: Overrides of the config, ``{'train_cfg.max_epochs': 2}``.
        config: The config to train; the task's own by default.
    """

    task: Task
    data_dir: Path
    work_dir: Path
    options: dict[str, Any]
    config: str | Path

    def __init__(
        self,
        task: str,
        data_dir: Path | None = None,
        work_dir: Path | None = None,
        options: dict[str, Any] | None = None,
        config: str | Path | None = None,
    ) -> None:
        self.task = TASKS[task]
        self.data_dir = data_dir or self.task.data_dir
        self.work_dir = work_dir or self.task.work_dir
        self.options = options or {}
        self.config = config or self.task.config

    def load(self) -> Config:
        """Read the config with the data at ``data_dir``."""
        root = f'{self.data_dir}{os.sep}'
        options: dict[str, Any] = {f'{split}_dataloader.dataset.data_root': root for split in SPLITS}
        return load_config(self.config, options | self.task.data_options(self.data_dir) | self.options)


def run_demo(demo: Demo) -> dict[str, Any]:
    """Run a demo; a run that was interrupted goes on where it stopped, a finished training is not repeated.

    Returns:
        The summary, which also stands in ``work_dir/summary.json``.

    Raises:
        UserError: the data folder holds something else, or a checkpoint cannot be read.
    """
    print(f'1/5 data: {demo.data_dir}')
    with as_user_error('the demo data cannot be made', OSError):
        demo.task.make_data(demo.data_dir)

    cfg = demo.load()
    by_epoch = 'max_epochs' in cfg.train_cfg
    length = cfg.train_cfg.max_epochs if by_epoch else cfg.train_cfg.max_iters
    unit = 'epoch' if by_epoch else 'iter'
    history = demo.work_dir / 'training_seconds.json'
    checkpoint = newest_checkpoint(demo.work_dir)
    if checkpoint is not None and read_checkpoint(checkpoint)['meta'].get(unit) == length:
        print(f'2/5 training: {checkpoint} is complete')
    else:
        name = 'epochs' if by_epoch else 'iterations'
        print(f'2/5 training: {length} {name}, about 8 minutes on two cores; logs in {demo.work_dir}')
        with stopwatch(history):
            train(cfg, work_dir=demo.work_dir, resume='auto')
        checkpoint = newest_checkpoint(demo.work_dir)
    assert checkpoint is not None

    print('3/5 evaluation')
    metrics = test(demo.load(), checkpoint, work_dir=demo.work_dir)

    print('4/5 images')
    images = find_images([demo.data_dir / demo.task.validation_images])[:NUM_IMAGES]
    result = predict(demo.load(), checkpoint, images, demo.work_dir / 'predictions', score_thr=0.4)
    mosaic = demo.work_dir / 'demo.jpg'
    draw_mosaic([Path(image['drawing']) for image in result.images], mosaic, demo.task.tile)

    print('5/5 export to OpenVINO')
    export, latency = export_model(demo, checkpoint, images)

    summary = dict(
        # CocoMetric returns nothing where nothing was detected.
        metrics={key: float(metrics.get(name, 0.0)) for key, name in demo.task.metrics.items()},
        training_seconds=round(json.loads(history.read_text())) if history.exists() else None,
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
    print(format_summary(summary, target))
    return summary


def export_model(demo: Demo, checkpoint: str, images: list[Path]) -> tuple[Export, dict[str, float]]:
    """Export the checkpoint at the size that it is tested with, and time the result.

    Returns:
        The export, and the median milliseconds from image to result by number of threads.
    """
    deploy_cfg, cfg = load_config(demo.task.deploy_config), demo.load()
    deploy_cfg.onnx_config.input_shape = pipeline_size(test_pipeline(cfg))
    export = deploy(deploy_cfg, cfg, str(demo.config), checkpoint, images[0], demo.work_dir / 'deploy')
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


class stopwatch:
    """Add the seconds spent inside to the number in a file, also when it is left by an exception."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __enter__(self) -> None:
        self.start = time.monotonic()

    def __exit__(self, *_: object) -> None:
        before = json.loads(self.file.read_text()) if self.file.exists() else 0.0
        self.file.parent.mkdir(parents=True, exist_ok=True)
        write_json(self.file, before + time.monotonic() - self.start)


def draw_mosaic(images: list[Path], target: Path, tile: tuple[int, int], columns: int = 4) -> None:
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


LABELS = {'bbox_mAP': 'mAP 0.50:0.95', 'bbox_mAP_50': 'mAP 0.50', 'mIoU': 'mIoU, %', 'aAcc': 'pixels right, %'}


def format_summary(summary: dict[str, Any], file: Path) -> str:
    """Return the one-screen summary."""
    seconds = summary['training_seconds']
    trained = f'{seconds // 60} min {seconds % 60} s' if seconds is not None else 'unknown'
    length = f'{summary["epochs"]} epochs' if 'epochs' in summary else f'{summary["iters"]} iterations'
    latency = ', '.join(f'{value} ms ({threads} threads)' for threads, value in summary['latency_milliseconds'].items())
    lines = [''] + [f'  {LABELS[key]:<15} {value:.3f}' for key, value in summary['metrics'].items()]
    lines += [
        f'  training        {length} in {trained} on {summary["threads"]} threads',
        f'  checkpoint      {summary["checkpoint"]}',
        f'  image         {summary["image"]}',
        f'  predictions     {summary["predictions"]}',
        f'  OpenVINO        {summary["export"]}; the same results: {"yes" if summary["parity"] else "NO"}',
        f'  latency         {latency} from image to result',
        f'  this summary    {file}',
        '',
    ]
    return '\n'.join(lines)
