"""The demo: data, training, evaluation, pictures, export and a summary in one call."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.config import Config

from .apis import load_config, predict, read_checkpoint, test, train
from .apis.train import newest_checkpoint
from .datasets.digits import make_digits_dataset
from .deploy.export import Export, deploy
from .deploy.parity import format_table
from .errors import as_user_error
from .images import find_images, read_image
from .runtime import Detector

CONFIG = 'configs/demo/lcnet_0.5x_digits.py'
DEPLOY_CONFIG = 'configs/deploy/detection_openvino_static-320x320.py'
NUM_PICTURES = 12


@dataclass
class Demo:
    """Where the demo reads and writes.

    Attributes:
        config: The config to train.
        data_dir: Folder of the data set; it is made if it does not exist.
        work_dir: Folder of checkpoints, logs, pictures and the summary.
        options: Overrides of the config, ``{'train_cfg.max_epochs': 2}``.
    """

    config: str | Path
    data_dir: Path
    work_dir: Path
    options: dict[str, Any]

    def load(self) -> Config:
        """Read the config with the data at ``data_dir``."""
        root = f'{self.data_dir}{os.sep}'
        ann_file = str(self.data_dir / 'annotations' / 'instances_val2017.json')
        options: dict[str, Any] = {f'{split}_dataloader.dataset.data_root': root for split in ('train', 'val', 'test')}
        options |= {f'{split}_evaluator.ann_file': ann_file for split in ('val', 'test')}
        return load_config(self.config, options | self.options)


def run_demo(demo: Demo) -> dict[str, Any]:
    """Run the demo; a run that was interrupted goes on where it stopped, a finished training is not repeated.

    Returns:
        The summary, which also stands in ``work_dir/summary.json``.

    Raises:
        UserError: the data folder holds something else, or a checkpoint cannot be read.
    """
    print(f'1/5 data: {demo.data_dir}')
    with as_user_error('the demo data cannot be made', OSError):
        make_digits_dataset(demo.data_dir)

    cfg = demo.load()
    epochs = cfg.train_cfg.max_epochs
    history = demo.work_dir / 'training_seconds.json'
    checkpoint = newest_checkpoint(demo.work_dir)
    if checkpoint is not None and read_checkpoint(checkpoint)['meta'].get('epoch') == epochs:
        print(f'2/5 training: {checkpoint} is complete')
    else:
        print(f'2/5 training: {epochs} epochs, about 8 minutes on two cores; logs in {demo.work_dir}')
        with stopwatch(history):
            train(cfg, work_dir=demo.work_dir, resume='auto')
        checkpoint = newest_checkpoint(demo.work_dir)
    assert checkpoint is not None

    print('3/5 evaluation')
    metrics = test(demo.load(), checkpoint, work_dir=demo.work_dir)

    print('4/5 pictures')
    images = find_images([demo.data_dir / 'val2017'])[:NUM_PICTURES]
    result = predict(demo.load(), checkpoint, images, demo.work_dir / 'predictions', score_thr=0.4)
    mosaic = demo.work_dir / 'demo.jpg'
    draw_mosaic([Path(image['drawing']) for image in result.images], mosaic)

    print('5/5 export to OpenVINO')
    export, latency = export_model(demo, checkpoint, images)

    summary = dict(
        # CocoMetric returns nothing where nothing was detected.
        metrics=dict(bbox_mAP=0.0, bbox_mAP_50=0.0)
        | {key.removeprefix('coco/'): value for key, value in metrics.items()},
        training_seconds=round(json.loads(history.read_text())) if history.exists() else None,
        epochs=epochs,
        threads=torch.get_num_threads(),
        config=str(demo.config),
        checkpoint=checkpoint,
        picture=str(mosaic),
        predictions=str(result.json_file),
        export=str(export.work_dir),
        parity=export.passed,
        latency_milliseconds=latency,
    )
    target = demo.work_dir / 'summary.json'
    target.write_text(json.dumps(summary, indent=1) + '\n')
    print(format_summary(summary, target))
    return summary


def export_model(demo: Demo, checkpoint: str, images: list[Path]) -> tuple[Export, dict[str, float]]:
    """Export the checkpoint at the size that it is tested with, and time the result.

    Returns:
        The export, and the median milliseconds from picture to detections by number of threads.
    """
    deploy_cfg, cfg = load_config(DEPLOY_CONFIG), demo.load()
    (resize,) = (step for step in cfg.test_pipeline if step.type == 'Resize')
    deploy_cfg.onnx_config.input_shape = list(resize.scale)
    export = deploy(deploy_cfg, cfg, str(demo.config), checkpoint, images[0], demo.work_dir / 'deploy')
    print(format_table(export.comparisons))
    pictures = [read_image(path) for path in images]
    latency = {}
    for threads in sorted({1, torch.get_num_threads()}):
        detector = Detector(export.work_dir, threads)
        seconds = []
        for picture in pictures * 5:
            start = time.perf_counter()
            detector(picture)
            seconds.append(time.perf_counter() - start)
        # The first round warms up.
        latency[str(threads)] = round(1e3 * median(seconds[len(pictures) :]), 2)
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
        self.file.write_text(json.dumps(before + time.monotonic() - self.start))


def draw_mosaic(pictures: list[Path], target: Path, columns: int = 4, tile: int = 320) -> None:
    """Put pictures into one, ``columns`` to a row, each fitted into a square of ``tile`` pixels."""
    rows = -(-len(pictures) // columns)
    canvas = np.full((rows * tile, columns * tile, 3), 255, np.uint8)
    for index, path in enumerate(pictures):
        image = read_image(path)
        scale = tile / max(image.shape[:2])
        image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)[:tile, :tile]
        height, width = image.shape[:2]
        top = index // columns * tile + (tile - height) // 2
        left = index % columns * tile + (tile - width) // 2
        canvas[top : top + height, left : left + width] = image
    cv2.imencode('.jpg', canvas, [cv2.IMWRITE_JPEG_QUALITY, 88])[1].tofile(target)


def format_summary(summary: dict[str, Any], file: Path) -> str:
    """The one-screen summary."""
    metrics, seconds = summary['metrics'], summary['training_seconds']
    trained = f'{seconds // 60} min {seconds % 60} s' if seconds is not None else 'unknown'
    latency = ', '.join(f'{value} ms ({threads} threads)' for threads, value in summary['latency_milliseconds'].items())
    lines = [
        '',
        f'  mAP 0.50:0.95   {metrics["bbox_mAP"]:.3f}',
        f'  mAP 0.50        {metrics["bbox_mAP_50"]:.3f}',
        f'  training        {summary["epochs"]} epochs in {trained} on {summary["threads"]} threads',
        f'  checkpoint      {summary["checkpoint"]}',
        f'  picture         {summary["picture"]}',
        f'  predictions     {summary["predictions"]}',
        f'  OpenVINO        {summary["export"]}; the same detections: {"yes" if summary["parity"] else "NO"}',
        f'  latency         {latency} from picture to detections',
        f'  this summary    {file}',
        '',
    ]
    return '\n'.join(lines)
