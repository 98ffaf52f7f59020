"""Train configs with several seeds and compare a metric."""

from __future__ import annotations

import argparse

from mmengine.logging import MMLogger

from ..apis import compare
from ..utils.errors import UserError
from ._common import CONFIGS_HELP, add_options

DESCRIPTION = (
    'Train each config with each seed, evaluate it, and print the mean, the spread, and the difference to the first '
    'config over equal seeds. Complete runs are not repeated, so an interrupted call continues where it stopped.'
)
EXAMPLES = ('configs/demo/ssld/labels.py configs/demo/ssld/ssld.py --seeds 5 --work-dir work_dirs/demo_ssld',)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument('configs', nargs='+', metavar='CONFIG', help=CONFIGS_HELP)
    parser.add_argument('--work-dir', required=True, metavar='DIR', help='folder of all runs and of comparison.json')
    parser.add_argument('--seeds', type=int, default=5, metavar='N', help='number of seeds (default: 5)')
    parser.add_argument('--metric', default='accuracy/top1', help='metric to compare (default: accuracy/top1)')
    add_options(parser, 'all configs')


def run(args: argparse.Namespace) -> None:
    """Run the command."""
    if args.seeds < 1:
        raise UserError(f'--seeds must be at least 1, got {args.seeds}')
    MMLogger.get_instance('mmengine', log_level='WARNING')
    result = compare(
        args.configs, seeds=range(args.seeds), work_dir=args.work_dir, metric=args.metric, options=args.cfg_options
    )
    print(result.format_table())
