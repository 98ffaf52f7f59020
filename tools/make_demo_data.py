"""Make the embedded detection data set."""

import argparse

from lcnet_mm.datasets.digits import make_digits_dataset
from lcnet_mm.errors import UserError, run_cli


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Make a COCO-format data set from scikit-learn's 1,797 scans of handwritten digits.",
        epilog='example: python tools/make_demo_data.py data/digits',
    )
    parser.add_argument('dir', help='folder to make; an equal data set that is there already is kept')
    parser.add_argument('--train', type=int, default=1000, metavar='N', help='training pictures (default: 1000)')
    parser.add_argument('--val', type=int, default=100, metavar='N', help='validation pictures (default: 100)')
    parser.add_argument('--seed', type=int, default=0, metavar='N', help='default: 0')
    args = parser.parse_args()
    try:
        summary = make_digits_dataset(args.dir, args.train, args.val, seed=args.seed)
    except (OSError, ValueError, ImportError) as error:
        raise UserError(str(error)) from error
    print(f'{"made" if summary["created"] else "kept"} {summary["out_dir"]}')
    for split in ('train', 'val'):
        part = summary[split]
        sizes = ', '.join(f'{count} {name}' for name, count in part['sizes'].items())
        print(f'  {split:<5}  {part["images"]:>5} pictures  {part["boxes"]:>6} digits ({sizes})')


if __name__ == '__main__':
    run_cli(main)
