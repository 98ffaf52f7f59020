"""Measure where the time of a training step goes."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from mmengine.config import DictAction
from mmengine.logging import MMLogger

from ..apis import check_data, load_config
from ..latency.busy import profile_busy
from ..latency.training import RandomBatches, TrainingBench, profile_training, stock_gfl
from ..utils.files import write_json

DESCRIPTION = (
    'Train single-stage detectors for a few steps on their own data, in turn, and print the median '
    'time of each part of a step; the data are loaded in the same process, apart from the step.'
)
EXAMPLE = (
    'example: %(prog)s configs/picodet_like/lcnet_1x_coco.py --boxes 7 '
    '--batch-size 8 --variants default channels-last channels-last+amp --stock-gfl'
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument('configs', nargs='+', metavar='CONFIG', help='config files')
    parser.add_argument('--steps', type=int, default=20, metavar='N', help='steps that count (default: 20)')
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
        help="train mmdet's own GFL with the first config's backbone beside it, as it is and at the config's widths",
    )
    parser.add_argument(
        '--boxes', type=int, metavar='N', help='train on random images with N boxes each instead of data'
    )
    parser.add_argument('--size', type=int, default=320, help='side of the random images (default: 320)')
    parser.add_argument('--batch-size', type=int, metavar='N', help="default: the config's")
    parser.add_argument(
        '--epoch', type=int, default=0, help='training phase, for heads that change their assigner (default: 0)'
    )
    parser.add_argument(
        '--busy',
        action='store_true',
        help='train each variant on its own, every other step beside a process that keeps one core busy',
    )
    parser.add_argument('--threads', type=int, metavar='N', help='default: all cores')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the medians to this file')
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE', help='override settings of the configs'
    )


def run(args: argparse.Namespace) -> None:
    """Run the command."""
    if args.threads:
        torch.set_num_threads(args.threads)
    # Building a model and an optimizer writes a line for every parameter.
    MMLogger.get_instance('mmengine', log_level='WARNING')
    configs = {path: load_config(path, args.cfg_options) for path in args.configs}
    if args.stock_gfl:
        first = next(iter(configs.values()))
        configs["mmdet's GFL"] = stock_gfl(first, light=False)
        configs["mmdet's GFL at the same widths"] = stock_gfl(first, light=True)
    benches = {}
    for path, cfg in configs.items():
        if args.batch_size:
            cfg.train_dataloader.batch_size = args.batch_size
        batches = None
        if args.boxes is None:
            check_data(cfg, ('train',))
        else:
            num_classes = cfg.model.bbox_head.num_classes
            batches = RandomBatches(cfg.train_dataloader.batch_size, args.size, args.boxes, num_classes)
        for variant in args.variants:
            switches = [] if variant == 'default' else variant.split('+')
            benches[f'{path}, {variant}'] = TrainingBench(cfg, switches, batches, args.epoch)
    if args.busy:
        busy = {name: profile_busy(bench, args.steps) for name, bench in benches.items()}
        print(f'{args.steps} steps of each kind, {torch.get_num_threads()} threads, medians')
        for name, comparison in busy.items():
            print(f'\n{name}, batch {comparison.quiet.batch_size}\n{comparison.format_table()}')
        if args.json:
            write_json(args.json, {name: comparison.to_dict() for name, comparison in busy.items()})
        return
    profiles = profile_training(benches, args.steps)
    print(f'the configs in turn, {args.steps} steps, {torch.get_num_threads()} threads, medians')
    first_step = next(iter(profiles.values())).step
    for name, profile in profiles.items():
        ratio = f'{first_step / profile.step:.2f} x the speed of the first'
        print(f'\n{name}, batch {profile.batch_size}, {ratio}\n{profile.format_table()}')
    if args.json:
        write_json(args.json, {name: profile.to_dict() for name, profile in profiles.items()})
