"""Measure where the time of a training step goes."""

from __future__ import annotations

import argparse

import torch
from mmengine.logging import MMLogger

from ..utils.errors import UserError
from ._common import CONFIGS_HELP, add_json, add_options, save_json

DESCRIPTION = (
    'Train single-stage detectors for a few steps, in turn, and print the median time of each part of a step. The data '
    'are loaded in the same process, and their time is not part of the step. With --busy, measure how much another '
    'process slows down a step.'
)
EXAMPLES = (
    'configs/picodet_like/lcnet_1x_coco.py --boxes 7 --batch-size 8 '
    '--variants default channels-last channels-last+amp --stock-gfl',
    'configs/picodet_like/lcnet_1x_coco.py --boxes 7 --batch-size 8 --busy',
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument('configs', nargs='+', metavar='CONFIG', help=CONFIGS_HELP)
    parser.add_argument('--steps', type=int, default=20, metavar='N', help='timed steps of each (default: 20)')
    parser.add_argument(
        '--variants',
        nargs='+',
        default=['default'],
        metavar='VARIANT',
        help='how each config is run: default, or channels-last, amp (bfloat16) and compile, joined with +',
    )
    parser.add_argument(
        '--stock-gfl',
        action='store_true',
        help="train mmdet's own GFL with the first config's backbone too, as it is and at the config's widths",
    )
    parser.add_argument(
        '--boxes', type=int, metavar='N', help='train on random images with N boxes each instead of data'
    )
    parser.add_argument(
        '--size', type=int, metavar='PIXELS', help='height and width of the random images of --boxes (default: 320)'
    )
    parser.add_argument('--batch-size', type=int, metavar='N', help="images per step (default: the config's)")
    parser.add_argument(
        '--epoch',
        type=int,
        default=0,
        metavar='N',
        help='the epoch, for heads that change their assigner during the training (default: 0)',
    )
    parser.add_argument(
        '--busy',
        action='store_true',
        help='train one variant after the other, every second step while another process keeps one core busy',
    )
    parser.add_argument('--threads', type=int, metavar='N', help='number of threads (default: all cores)')
    add_json(parser, 'the medians')
    add_options(parser, 'the configs')


def run(args: argparse.Namespace) -> None:
    """Run the command."""
    if args.threads is not None:
        if args.threads < 1:
            raise UserError(f'--threads must be at least 1, got {args.threads}')
        torch.set_num_threads(args.threads)
    # Building a model and an optimizer writes a line for every parameter.
    MMLogger.get_instance('mmengine', log_level='WARNING')
    from ..apis import benchmark_busy, benchmark_training
    from ..latency import TrainingSettings

    settings = TrainingSettings(
        steps=args.steps,
        variants=args.variants,
        compare_gfl=args.stock_gfl,
        boxes=args.boxes,
        size=args.size,
        batch_size=args.batch_size,
        epoch=args.epoch,
    )
    threads = torch.get_num_threads()
    if args.busy:
        busy = benchmark_busy(args.configs, settings=settings, options=args.cfg_options)
        print(f'{args.steps} steps of each kind, {threads} threads, medians')
        for name, comparison in busy.items():
            print(f'\n{name}, batch {comparison.quiet.batch_size}\n{comparison.format_table()}')
        save_json(args.json, {name: comparison.to_dict() for name, comparison in busy.items()})
        return
    profiles = benchmark_training(args.configs, settings=settings, options=args.cfg_options)
    print(f'the configs in turn, {args.steps} steps, {threads} threads, medians')
    first_step = next(iter(profiles.values())).step
    for name, profile in profiles.items():
        ratio = f'{first_step / profile.step:.2f} x the speed of the first'
        print(f'\n{name}, batch {profile.batch_size}, {ratio}\n{profile.format_table()}')
    save_json(args.json, {name: profile.to_dict() for name, profile in profiles.items()})
