"""Count parameters, multiply-adds and FLOPs."""

from __future__ import annotations

import argparse

from ..apis import complexity
from ._common import CONFIGS_HELP, add_json, add_options, save_json

DESCRIPTION = (
    'Print the parameters, multiply-adds (MACs) and FLOPs of models, part by part. "FLOPs" counts as the PP-LCNet '
    'paper does (MACs + 2 per batch norm output), "zoo FLOPs" as the PicoDet zoo does (2 per MAC + 2 per batch norm '
    'output).'
)
EXAMPLES = ('configs/picodet_like/lcnet_1x_coco.py --shape 320 320',)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument('configs', nargs='+', metavar='CONFIG', help=CONFIGS_HELP)
    parser.add_argument(
        '--shape', nargs=2, type=int, default=[320, 320], metavar=('H', 'W'), help='input size (default: 320 320)'
    )
    add_json(parser, 'the counts')
    add_options(parser, 'the configs', 'model.backbone.widen_factor=0.5')


def run(args: argparse.Namespace) -> None:
    """Run the command."""
    results = complexity(args.configs, shape=args.shape, options=args.cfg_options)
    for path, result in results.items():
        print(f'{path}: {result.format_table()}\n')
    if len(results) > 1:
        width = max(map(len, results))
        print(f'{"config":<{width}}  {"params M":>9}  {"MACs M":>10}  {"FLOPs M":>10}')
        for path, result in results.items():
            total = result.total
            print(f'{path:<{width}}  {total.params / 1e6:>9.4f}  {total.macs / 1e6:>10.3f}  {total.flops / 1e6:>10.3f}')
    save_json(args.json, {path: result.to_dict() for path, result in results.items()})
