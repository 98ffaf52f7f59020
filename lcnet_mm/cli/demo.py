"""Train, evaluate, show and export a model on embedded data."""

from __future__ import annotations

import argparse
from pathlib import Path

from mmengine.config import DictAction

from ..demos.runner import TASKS, Demo, run_demo

DESCRIPTION = (
    'Make data on the spot, train on them, evaluate, draw the predictions and export the model: '
    'a detector of handwritten digits, or a segmentor of drawn street scenes. An interrupted run goes on where it '
    'stopped.'
)
EXAMPLE = 'example: %(prog)s segmentation --work-dir work_dirs/demo_seg'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument('task', nargs='?', choices=TASKS, default='detection', help='default: detection')
    parser.add_argument('--config', help="config to train (default: the task's own)")
    parser.add_argument('--data', type=Path, help='data folder (default: data/digits or data/streets)')
    parser.add_argument('--work-dir', type=Path, help='default: work_dirs/demo or work_dirs/demo_seg')
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, default={}, metavar='KEY=VALUE', help='override settings'
    )


def run(args: argparse.Namespace) -> None:
    """Run the command."""
    run_demo(Demo(args.task, args.data, args.work_dir, args.cfg_options, args.config))
