"""Compare the runtime with mmdet on PyTorch and with mmdeploy's backend model, end to end."""

from __future__ import annotations

import argparse

from mmengine.logging import MMLogger

from ._common import CONFIG_HELP, add_json, save_json

DESCRIPTION = (
    "Time a detector from the bytes of an image to its detections, in turn: mmdet's inference_detector on PyTorch, "
    "mmdeploy's backend model, and lcnet_mm.runtime. Prints medians, and how many times as long the others take."
)
EXAMPLES = (
    'configs/deploy/detection_openvino_static-320x320.py configs/demo/lcnet_0.5x_digits.py '
    'work_dirs/demo/epoch_26.pth work_dirs/demo/deploy data/digits/val2017/000000000001.jpg',
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument('deploy_cfg', help=f'deploy {CONFIG_HELP}')
    parser.add_argument('config', help='config file of the detector')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('model', help='folder of the export')
    parser.add_argument('image', help='image file')
    parser.add_argument(
        '--threads', type=int, nargs='+', metavar='N', help='numbers of threads (default: 1 and all cores)'
    )
    parser.add_argument('--rounds', type=int, default=50, metavar='N', help='timed calls of each (default: 50)')
    add_json(parser, 'the medians')


def run(args: argparse.Namespace) -> None:
    """Run the command."""
    MMLogger.get_instance('mmengine', log_level='ERROR')
    from ..apis import benchmark_runtime

    results = benchmark_runtime(
        args.deploy_cfg,
        args.config,
        args.checkpoint,
        args.model,
        args.image,
        threads=args.threads,
        rounds=args.rounds,
    )
    for threads, seconds in results.items():
        print(f'{threads} threads, {args.rounds} rounds, medians')
        for name, value in seconds.items():
            print(f'  {name:<26} {1e3 * value:7.2f} ms  {value / seconds["lcnet_mm.runtime"]:5.2f}x')
    save_json(args.json, results)
