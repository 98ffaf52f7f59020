"""Convert data sets of labeling tools."""

from __future__ import annotations

import argparse

from ..apis import convert_dataset
from ..data.formats.conversion import FORMATS, TASKS
from ._common import add_json, save_json

DESCRIPTION = (
    'Convert the labels of YOLO, Pascal VOC, Labelme, CVAT, Label Studio, COCO, PNG masks or class folders to what the '
    'configs read, and split them for training and evaluation: stratified by class, with images of the same content or '
    'group in one split.'
)
EXAMPLES = (
    'convert exported_yolo/ data/mine',
    "convert labelme/ data/mine --task segment --val 0.2 --test 0.1 --group-by '^(video\\d+)_'",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument('action', choices=('convert',), help='what to do')
    parser.add_argument('source', help='folder or file of the labeling tool')
    parser.add_argument('out_dir', help='folder to make')
    parser.add_argument('--format', choices=FORMATS, help='format of the source, where it could be several')
    parser.add_argument('--task', choices=TASKS, help='what the data is for (default: what the labels are)')
    parser.add_argument('--images', metavar='DIR', help='folder of the images where they are not below the source')
    parser.add_argument('--classes', nargs='+', metavar='NAME', help='class names in their order')
    parser.add_argument(
        '--val',
        type=float,
        metavar='SHARE',
        help='share of the validation images (default: the splits of the source, or 0.2)',
    )
    parser.add_argument('--test', type=float, metavar='SHARE', help='share of the test images (default: 0)')
    parser.add_argument('--val-list', metavar='FILE', help='names of the validation images, one a line')
    parser.add_argument('--test-list', metavar='FILE', help='names of the test images, one a line')
    parser.add_argument(
        '--group-by', metavar='REGEX', help='images whose names agree in its first group stay in one split'
    )
    parser.add_argument('--seed', type=int, default=0, metavar='N', help='decides the splits (default: 0)')
    parser.add_argument('--link', action='store_true', help='link the images instead of copying them')
    parser.add_argument(
        '--drop-unlabeled',
        action=argparse.BooleanOptionalAction,
        help='leave out images without a label file, or keep them as background (default: kept for yolo only)',
    )
    add_json(parser, 'the counts and remarks')


def run(args: argparse.Namespace) -> None:
    """Run the command."""
    given = {name: value for name, value in vars(args).items() if name not in ('action', 'json')}
    conversion = convert_dataset(**given)
    print(conversion.format_table())
    save_json(args.json, conversion.to_dict())
