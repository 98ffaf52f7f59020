"""Write a first config for a data set."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..apis import init_config
from ..data.formats.conversion import TASKS
from ..utils.errors import UserError, as_user_error

DESCRIPTION = (
    'Write a short, commented config for a data set that lcnet data convert made: model, classes, paths, schedule, '
    'batch, averaging, early stopping. lcnet train runs it as it is.'
)
EXAMPLES = (
    'detect data/mine --model picodet_s_416 --out my.py',
    'classify data/parts --model pplcnet_0.5x --input-size 160 > my.py',
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument('task', choices=TASKS, help='what the config is for')
    parser.add_argument('data', help='folder that lcnet data convert made')
    parser.add_argument(
        '--model',
        metavar='NAME',
        help='a config of this project without the name of its data set (default: picodet_s_416, mobileseg_lcnet_1x or '
        'pplcnet_1x)',
    )
    parser.add_argument(
        '--input-size', type=int, metavar='SIDE', help="side of the square input (default: the model's own)"
    )
    parser.add_argument('--out', metavar='FILE', help='file to write, which must not exist (default: standard output)')


def run(args: argparse.Namespace) -> None:
    """Run the command."""
    if args.out is not None and Path(args.out).exists():
        raise UserError(f'{args.out} exists; choose another name, or delete it')
    text = init_config(args.task, args.data, args.model, args.input_size)
    if args.out is None:
        print(text, end='')
        return
    with as_user_error(f'{args.out} cannot be written', OSError):
        Path(args.out).write_text(text, encoding='utf-8')
    print(f'{args.out}: train it with lcnet train {args.out}', file=sys.stderr)
