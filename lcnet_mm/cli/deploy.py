"""Export a checkpoint to ONNX and OpenVINO, and prove that it computes the same."""

from __future__ import annotations

import argparse
import sys

from mmengine.logging import MMLogger

from ..utils.errors import UserError
from ._common import CONFIG_HELP, add_options

DESCRIPTION = (
    'Export a checkpoint through mmdeploy, compare the outputs of PyTorch, ONNX Runtime and OpenVINO, and describe the '
    'model for lcnet_mm.runtime; with --int8 quantize it too. The exit code is 1 if the outputs differ by more than '
    'their tolerance, or if INT8 loses too much accuracy.'
)
EXAMPLES = (
    'configs/deploy/detection_openvino_static-320x320.py configs/demo/lcnet_0.5x_digits.py '
    'work_dirs/demo/epoch_26.pth data/digits/val2017/000000000001.jpg --work-dir work_dirs/deploy',
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument('deploy_cfg', help=f'deploy {CONFIG_HELP}')
    parser.add_argument('config', help='config file of the model')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('image', help='image on which the outputs are compared')
    parser.add_argument('--work-dir', required=True, metavar='DIR', help='folder of the results')
    parser.add_argument(
        '--data',
        nargs='?',
        const=True,
        default=False,
        metavar='ANN',
        help="compare the metrics too, on the config's test data or on this annotation file",
    )
    parser.add_argument(
        '--int8',
        action='store_true',
        help="quantize too; if the accuracy on the config's test data, or on --data ANN, drops too far, only FP32 is "
        'kept and the exit code is 1',
    )
    parser.add_argument('--calib', metavar='DIR|ANN', help='images for --int8: a folder or a COCO annotation file')
    parser.add_argument(
        '--max-drop',
        type=float,
        metavar='X',
        help='points of a hundred that INT8 may lose (default: 0.5 AP, 1.0 mIoU, 1.0 top-1)',
    )
    parser.add_argument(
        '--input-size', nargs=2, type=int, metavar=('W', 'H'), help="static input size (default: the deploy config's)"
    )
    parser.add_argument(
        '--layout',
        choices=('files', 'ovms'),
        default='files',
        help='ovms: add the folder 1 with the model, so that OpenVINO Model Server takes --work-dir as its model_path',
    )
    add_options(parser, "the model's config", 'model.test_cfg.score_thr=0.1')


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    if args.int8 and args.calib is None:
        raise UserError('--int8 needs --calib DIR or --calib ANN, images to calibrate on')
    if not args.int8 and (args.calib is not None or args.max_drop is not None):
        raise UserError('--calib and --max-drop are for --int8; add it')
    MMLogger.get_instance('mmengine', log_level='WARNING')
    from ..apis import deploy
    from ..deploy.parity import format_table

    result = deploy(
        args.deploy_cfg,
        args.config,
        args.checkpoint,
        args.image,
        args.work_dir,
        input_size=tuple(args.input_size) if args.input_size else None,
        data=args.data,
        calib=args.calib,
        max_drop=args.max_drop,
        layout=args.layout,
        options=args.cfg_options,
    )
    export, quantization = result.export, result.quantization
    print(format_table(export.comparisons))
    for side, metrics in export.metrics.items():
        print(f'{side:>9}: ' + ', '.join(f'{key} {value:.4g}' for key, value in metrics.items()))
    if not export.passed:
        print(f'error: {export.problem}; see {export.work_dir / "parity.json"}', file=sys.stderr)
        return 1
    if quantization is not None:
        print(quantization.format_table())
    print(f'{export.work_dir}: ' + ', '.join(sorted(path.name for path in export.work_dir.iterdir() if path.is_file())))
    if result.version is not None:
        print(
            f'{result.version}: model.xml, model.bin; ovms --model_path {export.work_dir.absolute()} --model_name NAME'
        )
    if export.note:
        print(f'note: {export.note}', file=sys.stderr)
    if quantization is not None and not quantization.kept:
        print(f'error: {quantization.format_refusal()}', file=sys.stderr)
    return 0 if result.passed else 1
