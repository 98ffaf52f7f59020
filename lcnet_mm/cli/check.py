"""Check a COCO annotation file."""

from __future__ import annotations

import argparse

from ..apis import check_dataset
from ._common import add_json, save_json

DESCRIPTION = (
    'Find what would make a training or an evaluation on a COCO annotation file go wrong. The exit code is 1 if there '
    'are errors.'
)
EXAMPLES = ('data/digits/annotations/instances_train2017.json --images data/digits/train2017',)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument('annotations', help='COCO JSON file')
    parser.add_argument('--images', metavar='DIR', help='folder of the images, to check them too')
    parser.add_argument('--classes', nargs='+', metavar='NAME', help="a config's class names, to compare them")
    add_json(parser, 'the report')


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    report = check_dataset(args.annotations, args.images, args.classes)
    print(report.format_table())
    save_json(args.json, report.to_dict())
    return 0 if report.ok else 1
