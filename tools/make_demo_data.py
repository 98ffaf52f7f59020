"""Make the embedded data sets."""

import argparse

from lcnet_mm.datasets import make_digits_dataset, make_streets_dataset
from lcnet_mm.errors import UserError, run_cli

COUNTS = dict(digits=(1000, 100), streets=(300, 60))


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Make a small data set: scikit-learn's 1,797 scans of handwritten digits as a COCO detection set, "
        "or drawn street scenes in Cityscapes' layout (then run tools/prepare_cityscapes.py on it).",
        epilog='example: python tools/make_demo_data.py data/streets --kind streets',
    )
    parser.add_argument('dir', help='folder to make; an equal data set that is there already is kept')
    parser.add_argument('--kind', choices=COUNTS, default='digits', help='default: digits')
    parser.add_argument('--train', type=int, metavar='N', help='training pictures (default: 1000 digits, 300 streets)')
    parser.add_argument('--val', type=int, metavar='N', help='validation pictures (default: 100 digits, 60 streets)')
    parser.add_argument('--seed', type=int, default=0, metavar='N', help='default: 0')
    args = parser.parse_args()
    make = make_digits_dataset if args.kind == 'digits' else make_streets_dataset
    train, val = COUNTS[args.kind]
    try:
        summary = make(
            args.dir,
            train if args.train is None else args.train,
            val if args.val is None else args.val,
            seed=args.seed,
        )
    except (OSError, ValueError, ImportError) as error:
        raise UserError(str(error)) from error
    print(f'{"made" if summary["created"] else "kept"} {summary["out_dir"]}')
    for split in ('train', 'val'):
        part = summary[split]
        line = f'  {split:<5}  {part["images"]:>5} pictures'
        if 'sizes' in part:
            sizes = ', '.join(f'{count} {name}' for name, count in part['sizes'].items())
            line += f'  {part["boxes"]:>6} digits ({sizes})'
        print(line)


if __name__ == '__main__':
    run_cli(main)
