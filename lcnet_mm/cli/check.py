"""Check a COCO annotation file."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from ..data.coco import AnnotationError, check_coco
from ..utils.errors import UserError

DESCRIPTION = 'Find what would make a training or an evaluation on a COCO file go wrong.'
EXAMPLE = 'example: %(prog)s data/digits/annotations/instances_train2017.json --images data/digits/train2017'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument('annotations', help='COCO JSON file')
    parser.add_argument('--images', metavar='DIR', help='folder of the images, to check them too')
    parser.add_argument('--classes', nargs='+', metavar='NAME', help="the config's class names, to compare them")
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the report to this file')


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    if args.images is not None and not Path(args.images).is_dir():
        raise UserError(f'folder {args.images} does not exist')
    try:
        report = check_coco(args.annotations, args.images, args.classes)
    except AnnotationError as error:
        raise UserError(str(error)) from error
    print(report.format_table())
    if args.json:
        args.json.write_text(json.dumps(report.to_dict(), indent=1) + '\n')
    return 0 if report.ok else 1
