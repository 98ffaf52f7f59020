"""Check a Cityscapes folder and make the maps of train ids."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..data.cityscapes import CityscapesError, prepare_cityscapes
from ..utils.errors import UserError
from ..utils.files import write_json

DESCRIPTION = (
    'Check a folder with leftImg8bit and gtFine as Cityscapes delivers them: counts, missing pairs, '
    'unknown label ids, sizes; and write the *_gtFine_labelTrainIds.png that training needs. A run that was '
    'interrupted goes on where it stopped. Exits with 1 if there are errors.'
)
EXAMPLE = 'example: %(prog)s data/cityscapes'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument('root', help='folder with leftImg8bit and gtFine')
    parser.add_argument('--check-only', action='store_true', help='check everything and write nothing')
    parser.add_argument('--workers', type=int, metavar='N', help='files at a time (default: all cores)')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the report to this file')


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    try:
        report = prepare_cityscapes(args.root, convert=not args.check_only, workers=args.workers)
    except (CityscapesError, OSError) as error:
        raise UserError(str(error)) from error
    print(report.format_table())
    if args.json:
        write_json(args.json, report.to_dict())
    return 0 if report.ok else 1
