"""Check data: of a config, an annotation file, a list or a folder."""

from __future__ import annotations

import argparse

from ..apis import check_config, check_dataset, fix_annotations, load_config
from ..data.coco_fix import list_changes
from ..utils.errors import UserError
from ._common import add_json, add_options, save_json

DESCRIPTION = (
    'Find what would make a training or an evaluation go wrong, and say what would be trained on: all data of a '
    'config, a COCO annotation file, a list of images, or a folder (COCO, Pascal VOC, Cityscapes, a '
    'folder per class, images). The exit code is 1 if there are errors, 0 with warnings only.'
)
EXAMPLES = (
    'my_config.py --decode',
    'data/digits/annotations/instances_train2017.json --images data/digits/train2017',
    'data/mine/images --labels data/mine/masks',
    'train.json --images train --fix train_fixed.json',
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument('source', help='config, COCO JSON file, list of images, or folder')
    parser.add_argument('--images', metavar='DIR', help='folder of the images of a file, to check them too')
    parser.add_argument('--labels', metavar='DIR', help='folder of the label maps of a folder of images')
    parser.add_argument('--classes', nargs='+', metavar='NAME', help='class names to compare with those of the data')
    parser.add_argument('--masks', action='store_true', help='masks will be used: faulty segmentations are errors')
    parser.add_argument('--decode', action='store_true', help='decode all pixels of all images, not only their headers')
    parser.add_argument(
        '--fix', metavar='OUT', help='write a repaired copy of a COCO JSON file, where the repair is certain'
    )
    add_options(parser, example='train_dataloader.dataset.data_root=data/mine/')
    add_json(parser, 'the report')


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    if args.source.endswith('.py'):
        given = [name for name in ('images', 'labels', 'classes', 'masks', 'fix') if getattr(args, name)]
        if given:
            raise UserError(f'a config says itself where its data is: leave out --{" and --".join(given)}')
        report = check_config(load_config(args.source, args.cfg_options), decode=args.decode)
    else:
        if args.cfg_options:
            raise UserError('--cfg-options needs a config')
        report = check_dataset(
            args.source, args.images, args.classes, labels=args.labels, masks=args.masks, decode=args.decode
        )
    if args.fix is None:
        print(report.format_table())
        repairable = sum(finding.count for finding in report.findings if finding.fixable)
        if repairable and args.source.endswith('.json'):
            print(f'--fix OUT may repair {repairable} of these cases')
    save_json(args.json, report.to_dict())
    if args.fix is None:
        return report.exit_code
    changes = fix_annotations(args.source, args.fix, args.images)
    print(
        '\n'.join([*list_changes(changes), f'{args.fix} written'])
        if changes
        else f'nothing to repair; {args.fix} written'
    )
    report = check_dataset(args.fix, args.images, args.classes, masks=args.masks, decode=args.decode)
    print(report.format_table())
    return report.exit_code
