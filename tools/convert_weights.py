"""Convert published weights."""

import argparse

from lcnet_mm.apis import run_cli
from lcnet_mm.weights.convert import convert_weights


def main() -> None:
    parser = argparse.ArgumentParser(
        description='Convert weights of PaddleClas (PP-LCNet), PaddleDetection (PicoDet, generations 1 and 2) or timm '
        '(lcnet_*) into a checkpoint, and a .safetensors file beside it. Pickles are opened without running code.',
        epilog='example: python tools/convert_weights.py picodet_s_320_coco_lcnet.pdparams '
        'checkpoints/picodet_s_320.pth --config configs/picodet_like/picodet_s_320_coco.py',
    )
    parser.add_argument('src', help='.pdparams, .pth or .safetensors file')
    parser.add_argument('dst', help='.pth file to write')
    parser.add_argument('--config', help='config whose model the weights must fill; it is run once')
    args = parser.parse_args()
    print(convert_weights(args.src, args.dst, args.config).format())


if __name__ == '__main__':
    run_cli(main)
