"""Count parameters, multiply-adds and FLOPs."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from mmengine.config import DictAction

from ..apis import load_config
from ..latency.complexity import measure
from ..utils.errors import BUILD_ERRORS, UserError, as_user_error
from ..utils.models import build_model

DESCRIPTION = (
    'Print the parameters, multiply-adds (MACs) and FLOPs of models, part by part. "FLOPs" counts as '
    'the PP-LCNet paper does (MACs + 2 per batch norm output), "zoo FLOPs" as the PicoDet zoo does '
    '(2 MACs + 2 per batch norm output).'
)
EXAMPLE = 'example: %(prog)s configs/picodet_like/lcnet_1x_coco.py --shape 320 320'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument('configs', nargs='+', metavar='CONFIG', help='config files')
    parser.add_argument(
        '--shape', nargs=2, type=int, default=[320, 320], metavar=('H', 'W'), help='input size (default: 320 320)'
    )
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the counts to this file')
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE', help='override settings of the configs'
    )


def run(args: argparse.Namespace) -> None:
    """Run the command."""
    if min(args.shape) < 32:
        raise UserError(f'--shape {args.shape[0]} {args.shape[1]}: both sides must be at least 32')
    results = {}
    for path in args.configs:
        cfg = load_config(path, args.cfg_options)
        if 'model' not in cfg:
            raise UserError(f'config {path} has no model')
        with as_user_error(f'the model of {path} cannot be built', *BUILD_ERRORS):
            model = build_model(cfg)
        channels = cfg.model.get('in_channels') or cfg.model.get('backbone', {}).get('in_channels') or 3
        with as_user_error(f'the model of {path} cannot run on {channels}x{args.shape[0]}x{args.shape[1]}', Exception):
            results[path] = measure(model, (channels, *args.shape))
        print(f'{path}: {results[path].format_table()}\n')
    if len(results) > 1:
        width = max(map(len, results))
        print(f'{"config":<{width}}  {"params M":>9}  {"MACs M":>10}  {"FLOPs M":>10}')
        for path, result in results.items():
            total = result.total
            print(f'{path:<{width}}  {total.params / 1e6:>9.4f}  {total.macs / 1e6:>10.3f}  {total.flops / 1e6:>10.3f}')
    if args.json:
        content = {path: result.to_dict() for path, result in results.items()}
        with as_user_error(f'{args.json} cannot be written', OSError):
            args.json.write_text(json.dumps(content, indent=1) + '\n')
