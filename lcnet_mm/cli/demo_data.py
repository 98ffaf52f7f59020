"""Make the data sets of the demos."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from ..demos import make_digits_dataset, make_scans_dataset, make_streets_dataset, write_yolo
from ..utils.errors import UserError

_KINDS: dict[str, Callable[..., dict[str, Any]]] = dict(
    digits=make_digits_dataset, streets=make_streets_dataset, scans=make_scans_dataset
)

DESCRIPTION = (
    "Make a small data set. digits: scikit-learn's 1,797 scans of handwritten digits, pasted into images, as a COCO "
    "detection data set. streets: drawn street scenes in Cityscapes' layout, to be prepared with lcnet cityscapes. "
    'scans: the scans themselves, in one folder for each class.'
)
EXAMPLES = ('data/streets --kind streets',)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument('dir', help='folder to make; if it already has the same data set, it is kept')
    parser.add_argument('--kind', choices=_KINDS, default='digits', help='which data set (default: digits)')
    parser.add_argument(
        '--train', type=int, metavar='N', help='number of training images (default: 1000 digits, 300 streets)'
    )
    parser.add_argument(
        '--val', type=int, metavar='N', help='number of validation images (default: 100 digits, 60 streets)'
    )
    parser.add_argument('--labeled', type=int, metavar='N', help='number of training scans with a label (default: 100)')
    parser.add_argument(
        '--yolo', metavar='DIR', help="also write the digits to this folder in YOLO's layout, as labeling tools do"
    )
    parser.add_argument('--seed', type=int, default=0, metavar='N', help='seed of all that is random (default: 0)')


def run(args: argparse.Namespace) -> None:
    """Run the command."""
    counts = dict(num_train=args.train, num_val=args.val, num_labeled=args.labeled)
    given = {name: value for name, value in counts.items() if value is not None}
    if wrong := [name for name in given if (name == 'num_labeled') is not (args.kind == 'scans')]:
        raise UserError(f'--{wrong[0].removeprefix("num_")} does not go with --kind {args.kind}')
    if args.yolo and args.kind != 'digits':
        raise UserError(f'--yolo does not go with --kind {args.kind}')
    try:
        summary = _KINDS[args.kind](args.dir, **given, seed=args.seed)
    except (OSError, ValueError, ImportError) as error:
        raise UserError(str(error)) from error
    print(f'{"made" if summary["created"] else "kept"} {summary["out_dir"]}')
    for split in ('train', 'val'):
        part = summary[split]
        line = f'  {split:<5}  {part["images"]:>5} images'
        if 'sizes' in part:
            sizes = ', '.join(f'{count} {name}' for name, count in part['sizes'].items())
            line += f'  {part["boxes"]:>6} digits ({sizes})'
        print(line)
    if args.yolo:
        print(f'wrote {write_yolo(args.dir, args.yolo)}')
