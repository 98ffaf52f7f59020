"""Mine a pool of unlabelled images for distillation."""

from __future__ import annotations

import argparse
from pathlib import Path

from mmengine.config import DictAction

from ..utils.errors import UserError, as_user_error
from ..utils.files import write_json

DESCRIPTION = (
    'List, for each class of a teacher, the images of an unlabelled pool that it is surest of, each '
    'for its best class only; near-duplicates of validation images are dropped. Scores and hashes are kept in '
    'the work dir: an interrupted run, started again, goes on and gives the same list.'
)
EXAMPLE = (
    'example: %(prog)s data/imagenet22k --config configs/imagenet/pplcnet_2.5x_in1k.py '
    '--checkpoint teacher.pth --val data/imagenet/val --top-k 4000 --out data/mined.txt'
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument('pool', nargs='+', metavar='POOL', help='folders, with all below them, and text lists')
    teacher = parser.add_mutually_exclusive_group(required=True)
    teacher.add_argument('--config', help='config of the teacher, an mmpretrain classifier with a test_dataloader')
    teacher.add_argument('--timm', metavar='NAME', help='teacher of timm instead')
    parser.add_argument('--checkpoint', help="weights of the teacher (with --timm by default timm's own, downloaded)")
    parser.add_argument('--val', required=True, metavar='DIR|LIST', help='images that nothing listed may resemble')
    parser.add_argument('--top-k', type=int, required=True, metavar='N', help='images per class')
    parser.add_argument('--out', type=Path, required=True, metavar='LIST', help='list for the data set ImageList')
    parser.add_argument('--with-label', action='store_true', help="write the teacher's class after each path")
    parser.add_argument('--json', type=Path, metavar='FILE', help='the report (default: LIST with the suffix .json)')
    parser.add_argument('--work-dir', type=Path, help='folder of scores and hashes (default: work_dirs/mine_LIST)')
    parser.add_argument('--classes', type=int, metavar='N', help='number of classes that the teacher must have')
    parser.add_argument(
        '--pool-root', metavar='DIR', help="folder that paths of pool lists begin in (default: the list's)"
    )
    parser.add_argument('--pool-with-label', action='store_true', help='pool lists have a class index, to be ignored')
    parser.add_argument(
        '--val-root', metavar='DIR', help="folder that paths of a --val list begin in (default: the list's)"
    )
    parser.add_argument('--val-with-label', action='store_true', help='the --val list has a class index, to be checked')
    parser.add_argument(
        '--max-distance', type=int, default=8, metavar='BITS', help='of 64 that differ in a near-duplicate (default: 8)'
    )
    parser.add_argument(
        '--max-unreadable', type=float, default=0.01, metavar='SHARE', help='stop beyond this share (default: 0.01)'
    )
    parser.add_argument('--batch-size', type=int, default=64, metavar='N', help='images at a time (default: 64)')
    parser.add_argument('--workers', type=int, metavar='N', help='decoding processes (default: all cores)')
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE', help='override settings of the config'
    )


def run(args: argparse.Namespace) -> None:
    """Run the command."""
    if args.config and not args.checkpoint:
        raise UserError('--config needs the weights of the teacher: add --checkpoint FILE')
    report_file = args.json or args.out.with_suffix('.json')
    if report_file == args.out:
        raise UserError(f'--out {args.out} is the name of the report too; choose another suffix, such as .txt')
    with as_user_error(f'the report {report_file} cannot be written', OSError):
        report_file.parent.mkdir(parents=True, exist_ok=True)

    from ..mining import Source, mine_images, teacher_of_config, teacher_of_timm

    report = mine_images(
        Source(args.pool, args.pool_root, args.pool_with_label),
        Source([args.val], args.val_root, args.val_with_label),
        teacher_of_config(args.config, args.checkpoint, args.cfg_options)
        if args.config
        else teacher_of_timm(args.timm, args.checkpoint, args.classes),
        args.out,
        args.work_dir or Path('work_dirs', f'mine_{args.out.stem}'),
        top_k=args.top_k,
        with_label=args.with_label,
        num_classes=args.classes,
        max_distance=args.max_distance,
        max_unreadable=args.max_unreadable,
        batch_size=args.batch_size,
        workers=args.workers,
    )
    write_json(report_file, report.to_dict())
    print(report.format_table())
    print(f'  report          {report_file}')
