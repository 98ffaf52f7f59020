"""Train a config."""

from __future__ import annotations

import argparse
import os

from mmengine.config import DictAction

from ..apis import load_config, train
from ..apis.train import LAUNCHERS, default_work_dir

DESCRIPTION = 'Train a detector, segmentor or classifier.'
EXAMPLE = 'example: %(prog)s configs/picodet_like/lcnet_1x_coco.py --work-dir work_dirs/first'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument('config', help='config file')
    parser.add_argument('--work-dir', help='folder of logs and checkpoints (default: work_dirs/CONFIG_NAME)')
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CHECKPOINT',
        help="go on from a checkpoint, or without a value from the work dir's newest one",
    )
    parser.add_argument('--amp', action='store_true', help='mixed precision (float16 on GPUs, bfloat16 on CPUs)')
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate by the total batch size (all but the deeplabv3plus configs do so by themselves)',
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='override settings, e.g. train_dataloader.batch_size=32 model.backbone.widen_factor=0.5',
    )
    parser.add_argument('--launcher', choices=LAUNCHERS, default='none', help='how several processes were started')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)


def run(args: argparse.Namespace) -> None:
    """Run the command."""
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    cfg = load_config(args.config, args.cfg_options)
    train(
        cfg,
        work_dir=args.work_dir or cfg.get('work_dir') or default_work_dir(args.config),
        resume=args.resume,
        amp=args.amp,
        auto_scale_lr=args.auto_scale_lr,
        launcher=args.launcher,
    )
