"""Train, evaluate, show and export a model on embedded data."""

import argparse
from pathlib import Path

from mmengine.config import DictAction

from lcnet_mm.apis import run_cli
from lcnet_mm.demos.runner import TASKS, Demo, run_demo


def main() -> None:
    parser = argparse.ArgumentParser(
        description='Make data on the spot, train on them, evaluate, draw the predictions and export the model: '
        'a detector of handwritten digits, or a segmentor of drawn street scenes. An interrupted run goes on where it '
        'stopped.',
        epilog='example: python tools/demo.py segmentation --work-dir work_dirs/demo_seg',
    )
    parser.add_argument('task', nargs='?', choices=TASKS, default='detection', help='default: detection')
    parser.add_argument('--config', help="config to train (default: the task's own)")
    parser.add_argument('--data', type=Path, help='data folder (default: data/digits or data/streets)')
    parser.add_argument('--work-dir', type=Path, help='default: work_dirs/demo or work_dirs/demo_seg')
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, default={}, metavar='KEY=VALUE', help='override settings'
    )
    args = parser.parse_args()
    run_demo(Demo(args.task, args.data, args.work_dir, args.cfg_options, args.config))


if __name__ == '__main__':
    run_cli(main)
