"""Run a checkpoint on images."""

from __future__ import annotations

import argparse
import sys

from ..apis import load_config, predict
from ._common import CONFIG_HELP, add_options

DESCRIPTION = (
    'Run a checkpoint on images: draw the predictions and write them as JSON, and for a segmentor the masks as PNG '
    'files. Images that cannot be read are reported and the exit code is 1; the others are processed.'
)
EXAMPLES = ('configs/demo/lcnet_0.5x_digits.py work_dirs/demo/epoch_26.pth data/digits/val2017 --out results',)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument('config', help=CONFIG_HELP)
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('images', nargs='+', metavar='IMAGE|DIR', help='images, and folders of images')
    parser.add_argument('--out', required=True, metavar='DIR', help='folder of the drawings and predictions.json')
    parser.add_argument(
        '--score-thr', type=float, default=0.3, metavar='SCORE', help='lowest score of a detection (default: 0.3)'
    )
    parser.add_argument('--device', help='cpu, cuda:0, … (default: the GPU if there is one)')
    add_options(parser, example='model.test_cfg.nms.iou_threshold=0.5')


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    cfg = load_config(args.config, args.cfg_options)
    result = predict(cfg, args.checkpoint, args.images, args.out, score_thr=args.score_thr, device=args.device)
    print(f'{len(result.images)} images drawn, predictions in {result.json_file}')
    for failure in result.failures:
        print(f'error: {failure["file"]}: {failure["reason"]}', file=sys.stderr)
    return 1 if result.failures else 0
