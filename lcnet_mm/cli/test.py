"""Evaluate a checkpoint."""

from __future__ import annotations

import argparse
import os

from ..apis import load_config, test
from ..apis.train import default_work_dir
from ..utils.distributed import LAUNCHERS
from ._common import CONFIG_HELP, add_options

DESCRIPTION = 'Evaluate a checkpoint with the metrics of its config.'
EXAMPLES = ('configs/demo/lcnet_0.5x_digits.py work_dirs/demo/epoch_26.pth',)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument('config', help=CONFIG_HELP)
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--work-dir', metavar='DIR', help='folder of the logs (default: work_dirs/CONFIG_NAME)')
    parser.add_argument('--out', metavar='FILE.pkl', help='write all predictions to this file')
    parser.add_argument(
        '--show-dir', metavar='DIR', help='draw the predictions into this folder inside WORK_DIR/TIMESTAMP'
    )
    parser.add_argument(
        '--report',
        metavar='DIR',
        help='write report.html and report.json here: values by class, curves, confusions, worst images, latency',
    )
    add_options(parser, example='test_dataloader.dataset.data_root=data/mine/')
    parser.add_argument('--launcher', choices=LAUNCHERS, default='none', help='how several processes were started')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)


def run(args: argparse.Namespace) -> None:
    """Run the command."""
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    cfg = load_config(args.config, args.cfg_options)
    test(
        cfg,
        args.checkpoint,
        work_dir=args.work_dir or cfg.get('work_dir') or default_work_dir(args.config),
        out=args.out,
        show_dir=args.show_dir,
        report=args.report,
        launcher=args.launcher,
    )
