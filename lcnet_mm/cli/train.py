"""Train a config."""

from __future__ import annotations

import argparse
import os
import sys

from ..apis import load_config, train
from ..apis.train import default_work_dir
from ..engine.interruption import TrainingInterrupted
from ..engine.vis_backends import VIS_BACKENDS
from ._common import CONFIG_HELP, add_launcher, add_options

DESCRIPTION = 'Train a detector, segmentor or classifier, and evaluate it as its config says.'
EXAMPLES = (
    'configs/picodet_like/lcnet_1x_coco.py --work-dir work_dirs/first',
    'configs/picodet_like/lcnet_1x_coco.py --work-dir work_dirs/first --resume',
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument('config', help=CONFIG_HELP)
    parser.add_argument(
        '--work-dir', metavar='DIR', help='folder of logs and checkpoints (default: work_dirs/CONFIG_NAME)'
    )
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CHECKPOINT',
        help='continue from this checkpoint, or without a value from the newest one in the work dir',
    )
    parser.add_argument('--amp', action='store_true', help='mixed precision: float16 on GPUs, bfloat16 on CPUs')
    parser.add_argument(
        '--compile',
        action='store_true',
        help='run the network through torch.compile; needs a C++ compiler and training images of one size',
    )
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate by the total batch size (all configs but those of deeplabv3plus do so anyway)',
    )
    parser.add_argument(
        '--allow-partial-weights',
        action='store_true',
        help='start although some of the initial weights (load_from, init_cfg) do not fit the model',
    )
    parser.add_argument(
        '--patience',
        type=int,
        metavar='N',
        help='stop after N evaluations without a better result of the metric of the best checkpoint',
    )
    parser.add_argument(
        '--vis', nargs='+', choices=VIS_BACKENDS, default=[], help='also log to these: %(choices)s', metavar='NAME'
    )
    parser.add_argument('--tensorboard', action='store_true', help='the same as --vis tensorboard')
    parser.add_argument(
        '--copy-data-to',
        metavar='DIR',
        help='copy the data to this folder first, on a local disk, and read it there; a complete copy is used again',
    )
    parser.add_argument(
        '--report', metavar='DIR', help='at the end, write a report of the best checkpoint here, as lcnet test does'
    )
    add_options(parser, example='train_dataloader.batch_size=32 model.backbone.widen_factor=0.5')
    add_launcher(parser)
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)


def run(args: argparse.Namespace) -> None:
    """Run the command."""
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    cfg = load_config(args.config, args.cfg_options)
    try:
        train(
            cfg,
            work_dir=args.work_dir or cfg.get('work_dir') or default_work_dir(args.config),
            resume=args.resume,
            amp=args.amp,
            compile=args.compile,
            auto_scale_lr=args.auto_scale_lr,
            launcher=args.launcher,
            allow_partial_weights=args.allow_partial_weights,
            vis=[*args.vis, *(['tensorboard'] if args.tensorboard else [])],
            patience=args.patience,
            copy_data_to=args.copy_data_to,
            report=args.report,
        )
    except TrainingInterrupted as error:
        # Of several processes, the first says it.
        if os.environ.get('RANK', '0') != '0':
            sys.exit(130)
        raise KeyboardInterrupt(f'{error}: repeat the command with --resume') from error
