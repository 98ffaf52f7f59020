"""Measure where the time of a training step goes."""

import argparse
import json
from pathlib import Path

import torch
from mmengine.config import DictAction
from mmengine.logging import MMLogger

from lcnet_mm.apis import check_data, load_config, run_cli
from lcnet_mm.latency.training import RandomBatches, TrainingBench, profile_training


def main() -> None:
    parser = argparse.ArgumentParser(
        description='Train single-stage detectors for a few steps on their own data, in turn, and print the median '
        'time of each part of a step.',
        epilog='example: python tools/benchmark_training.py configs/demo/lcnet_0.5x_digits.py --channels-last both',
    )
    parser.add_argument('configs', nargs='+', metavar='CONFIG', help='config files')
    parser.add_argument('--steps', type=int, default=20, metavar='N', help='steps that count (default: 20)')
    parser.add_argument(
        '--channels-last', choices=('no', 'yes', 'both'), default='no', help='order of the weights (default: no)'
    )
    parser.add_argument(
        '--boxes', type=int, metavar='N', help='train on random pictures with N boxes each instead of data'
    )
    parser.add_argument('--size', type=int, default=320, help='side of the random pictures (default: 320)')
    parser.add_argument('--batch-size', type=int, metavar='N', help="default: the config's")
    parser.add_argument(
        '--epoch', type=int, default=0, help='training phase, for heads that change their assigner (default: 0)'
    )
    parser.add_argument('--threads', type=int, metavar='N', help='default: all cores')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the medians to this file')
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE', help='override settings of the configs'
    )
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    # Building a model and an optimizer writes a line for every parameter.
    MMLogger.get_instance('mmengine', log_level='WARNING')
    orders = {'no': [False], 'yes': [True], 'both': [False, True]}[args.channels_last]
    benches = {}
    for path in args.configs:
        cfg = load_config(path, args.cfg_options)
        if args.batch_size:
            cfg.train_dataloader.batch_size = args.batch_size
        batches = None
        if args.boxes is None:
            check_data(cfg, ('train',))
        else:
            num_classes = cfg.model.bbox_head.num_classes
            batches = RandomBatches(cfg.train_dataloader.batch_size, args.size, args.boxes, num_classes)
        for order in orders:
            name = f'{path}{" channels-last" if order else ""}'
            benches[name] = TrainingBench(cfg, order, batches, args.epoch)
    profiles = profile_training(benches, args.steps)
    print(f'the configs in turn, {args.steps} steps, {torch.get_num_threads()} threads, medians')
    for name, profile in profiles.items():
        print(f'\n{name}, batch {profile.batch_size}\n{profile.format_table()}')
    if args.json:
        args.json.write_text(json.dumps({name: p.to_dict() for name, p in profiles.items()}, indent=1) + '\n')


if __name__ == '__main__':
    run_cli(main)
