"""Check a Cityscapes folder and make the maps of train ids."""

from __future__ import annotations

import argparse

from ..apis import prepare_cityscapes
from ._common import add_json, save_json

DESCRIPTION = (
    'Check a folder with leftImg8bit and gtFine as Cityscapes delivers them (counts, missing pairs, unknown label ids, '
    'sizes), and write the *_gtFine_labelTrainIds.png files that training needs. A run that was interrupted continues '
    'where it stopped. The exit code is 1 if there are errors.'
)
EXAMPLES = ('data/cityscapes',)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument('root', help='folder with leftImg8bit and gtFine')
    parser.add_argument('--check-only', action='store_true', help='check everything and write nothing')
    parser.add_argument('--workers', type=int, metavar='N', help='number of files at a time (default: all cores)')
    add_json(parser, 'the report')


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    report = prepare_cityscapes(args.root, convert=not args.check_only, workers=args.workers)
    print(report.format_table())
    save_json(args.json, report.to_dict())
    return 0 if report.ok else 1
