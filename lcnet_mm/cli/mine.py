"""Choose images of an unlabeled pool for distillation."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..utils.distributed import join_group
from ..utils.errors import UserError, as_user_error
from ._common import add_launcher, add_options, save_json

DESCRIPTION = (
    'For each class of a teacher, list the images of an unlabeled pool that the teacher is most certain of, each '
    'image for its best class only. Near-duplicates of validation images are left out. Scores and hashes are kept in '
    'the work dir: an interrupted run, started again, continues and gives the same list.'
)
EXAMPLES = (
    'data/imagenet22k --config configs/imagenet/pplcnet_2.5x_in1k.py --checkpoint teacher.pth '
    '--val data/imagenet/val --top-k 4000 --out data/mined.txt',
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument(
        'pool', nargs='+', metavar='POOL', help='folders, searched with all folders in them, and text lists of images'
    )
    teacher = parser.add_mutually_exclusive_group(required=True)
    teacher.add_argument('--config', help='config of the teacher, an mmpretrain classifier with a test_dataloader')
    teacher.add_argument('--timm', metavar='NAME', help='a model of timm as the teacher instead')
    parser.add_argument(
        '--checkpoint',
        metavar='FILE',
        help="weights of the teacher (with --timm the default is timm's own weights, which are downloaded)",
    )
    parser.add_argument(
        '--val', required=True, metavar='DIR|LIST', help='validation images, of which no near-duplicate is listed'
    )
    parser.add_argument('--top-k', type=int, required=True, metavar='N', help='number of images for each class')
    parser.add_argument(
        '--out', type=Path, required=True, metavar='LIST', help='list to write, for ImageList data sets'
    )
    parser.add_argument('--with-label', action='store_true', help="write the teacher's class after each path")
    parser.add_argument(
        '--json', type=Path, metavar='FILE', help='file of the report (default: LIST with the suffix .json)'
    )
    parser.add_argument(
        '--work-dir', type=Path, metavar='DIR', help='folder of scores and hashes (default: work_dirs/mine_LIST)'
    )
    parser.add_argument('--classes', type=int, metavar='N', help='number of classes that the teacher must have')
    parser.add_argument(
        '--pool-root', metavar='DIR', help="folder that the paths in pool lists start from (default: the list's folder)"
    )
    parser.add_argument(
        '--pool-with-label', action='store_true', help='the pool lists have a class index, which is ignored'
    )
    parser.add_argument(
        '--val-root',
        metavar='DIR',
        help="folder that the paths in a --val list start from (default: the list's folder)",
    )
    parser.add_argument(
        '--val-with-label', action='store_true', help='the --val list has a class index, which is checked'
    )
    parser.add_argument(
        '--max-distance',
        type=int,
        default=8,
        metavar='BITS',
        help='how many of the 64 bits of the hashes may differ between near-duplicates (default: 8)',
    )
    parser.add_argument(
        '--max-unreadable',
        type=float,
        default=0.01,
        metavar='SHARE',
        help='stop if more than this share of the images cannot be read (default: 0.01)',
    )
    parser.add_argument('--batch-size', type=int, default=64, metavar='N', help='images at a time (default: 64)')
    parser.add_argument(
        '--workers', type=int, metavar='N', help='number of processes that decode images (default: all cores)'
    )
    add_launcher(parser)
    add_options(parser, "the teacher's config", 'test_dataloader.dataset.pipeline.1.scale=256')


def run(args: argparse.Namespace) -> None:
    """Run the command."""
    if args.config and not args.checkpoint:
        raise UserError('--config needs the weights of the teacher: add --checkpoint FILE')
    report_file = args.json or args.out.with_suffix('.json')
    if report_file == args.out:
        raise UserError(f'--out {args.out} is the name of the report too; choose another suffix, such as .txt')
    with as_user_error(f'the report {report_file} cannot be written', OSError):
        report_file.parent.mkdir(parents=True, exist_ok=True)

    join_group(args.launcher)

    from ..apis import mine_images
    from ..mining import Source, teacher_of_config, teacher_of_timm

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
    if report is None:
        # Another process of the group has it.
        return
    save_json(report_file, report.to_dict())
    print(report.format_table())
    print(f'  report          {report_file}')
