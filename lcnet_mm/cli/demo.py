"""Train, evaluate, show and export a model on drawn data."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..demos import TASKS, Demo, run_demo
from ._common import CONFIG_HELP, add_options

DESCRIPTION = (
    'Make a small data set, train on it, evaluate, draw the predictions and export the model: a detector of '
    'handwritten digits, or a segmentor of drawn street scenes. Each takes about 10 minutes on two cores. An '
    'interrupted run continues where it stopped.'
)
EXAMPLES = ('segmentation --work-dir work_dirs/demo_seg',)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument(
        'task', nargs='?', choices=TASKS, default='detection', help='what to train (default: detection)'
    )
    parser.add_argument('--config', help=f"{CONFIG_HELP} (default: the task's own)")
    parser.add_argument(
        '--data', type=Path, metavar='DIR', help='folder of the data (default: data/digits or data/streets)'
    )
    parser.add_argument(
        '--work-dir',
        type=Path,
        metavar='DIR',
        help='folder of the results (default: work_dirs/demo or work_dirs/demo_seg)',
    )
    add_options(parser, example='train_cfg.max_epochs=2')


def run(args: argparse.Namespace) -> None:
    """Run the command."""
    run_demo(Demo(args.task, args.data, args.work_dir, args.cfg_options, args.config))
