"""Convert published weights."""

from __future__ import annotations

import argparse

from ..apis import convert_weights

DESCRIPTION = (
    'Convert weights of PaddleClas (PP-LCNet, PP-LCNetV2), PaddleDetection (PicoDet, generations 1 and 2), PaddleSeg '
    '(MobileSeg) or timm (lcnet_*, lcnetv2_*), or a network exported to ONNX by paddle2onnx or lcnet deploy, into a '
    'checkpoint, and write the same tensors to a .safetensors file next to it. Pickles are read without running code.'
)
EXAMPLES = (
    'picodet_s_320_coco_lcnet.pdparams checkpoints/picodet_s_320.pth '
    '--config configs/picodet_like/picodet_s_320_coco.py',
    'layout_cdla.onnx checkpoints/layout_cdla.pth --config configs/document/picodet_lcnet_1x_layout_cdla.py',
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument('src', help='.pdparams, .pth, .safetensors or .onnx file')
    parser.add_argument('dst', help='.pth file to write')
    parser.add_argument(
        '--config',
        help='config whose model the weights must fill, which is run once (default: they must fill a backbone); .onnx '
        'needs one',
    )


def run(args: argparse.Namespace) -> None:
    """Run the command."""
    print(convert_weights(args.src, args.dst, args.config).format())
