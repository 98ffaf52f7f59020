"""Compare the runtime with mmdet on PyTorch and with mmdeploy's backend model, end to end."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from mmengine.logging import MMLogger

from ..apis import load_config

DESCRIPTION = (
    "From the bytes of an image to detections, in turn: mmdet's inference_detector on PyTorch, "
    "mmdeploy's backend model and lcnet_mm.runtime. Prints medians and ratios."
)
EXAMPLE = (
    'example: %(prog)s configs/deploy/detection_openvino_static-320x320.py '
    'configs/demo/lcnet_0.5x_digits.py work_dirs/demo/epoch_26.pth work_dirs/demo/deploy '
    'data/digits/val2017/000000000001.jpg'
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument('deploy_cfg', help='deploy config file')
    parser.add_argument('config', help='config file of the model')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('model', help='folder of the export')
    parser.add_argument('image', type=Path, help='image')
    parser.add_argument('--threads', type=int, nargs='+', metavar='N', help='default: 1 and all cores')
    parser.add_argument('--rounds', type=int, default=50, metavar='N', help='calls that count (default: 50)')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the medians to this file')


def run(args: argparse.Namespace) -> None:
    """Run the command."""
    MMLogger.get_instance('mmengine', log_level='ERROR')
    from ..latency.end_to_end import build_pipelines, measure

    deploy_cfg = load_config(args.deploy_cfg)
    cfg = load_config(args.config)
    data = np.fromfile(args.image, np.uint8)
    results = {}
    for threads in args.threads or sorted({1, torch.get_num_threads()}):
        torch.set_num_threads(threads)
        seconds = measure(build_pipelines(cfg, deploy_cfg, args.checkpoint, args.model, threads), data, args.rounds)
        results[threads] = seconds
        ours = seconds['lcnet_mm.runtime']
        print(f'{threads} threads, {args.rounds} rounds, medians')
        for name, value in seconds.items():
            print(f'  {name:<26} {1e3 * value:7.2f} ms  {value / ours:5.2f}x')
    if args.json:
        args.json.write_text(json.dumps(results, indent=1) + '\n')
