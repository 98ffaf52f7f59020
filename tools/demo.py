"""Train, evaluate, show and export a detector on the embedded digits."""

import argparse
from pathlib import Path

from mmengine.config import DictAction

from lcnet_mm.apis import run_cli
from lcnet_mm.demo import CONFIG, Demo, run_demo


def main() -> None:
    parser = argparse.ArgumentParser(
        description='Make the digits, train a detector on them, evaluate it, draw its predictions and export it. '
        'An interrupted run goes on where it stopped.',
        epilog='example: python tools/demo.py --work-dir work_dirs/demo',
    )
    parser.add_argument('--config', default=CONFIG, help=f'config to train (default: {CONFIG})')
    parser.add_argument('--data', type=Path, default=Path('data/digits'), help='data folder (default: data/digits)')
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/demo'), help='default: work_dirs/demo')
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, default={}, metavar='KEY=VALUE', help='override settings'
    )
    args = parser.parse_args()
    run_demo(Demo(args.config, args.data, args.work_dir, args.cfg_options))


if __name__ == '__main__':
    run_cli(main)
