"""Export a checkpoint to ONNX and OpenVINO, and prove that it computes the same."""

from __future__ import annotations

import argparse
import sys

from mmengine.config import DictAction
from mmengine.logging import MMLogger

from ..apis import load_config
from ..utils.errors import UserError

DESCRIPTION = (
    'Export a checkpoint through mmdeploy, compare PyTorch, ONNX Runtime and OpenVINO, and describe '
    'the model for lcnet_mm.runtime; with --int8 quantise it too. Exits with 1 if a tolerance is not held.'
)
EXAMPLE = (
    'example: %(prog)s configs/deploy/detection_openvino_static-320x320.py '
    'configs/demo/lcnet_0.5x_digits.py work_dirs/demo/epoch_26.pth data/digits/val2017/000000000001.jpg '
    '--work-dir work_dirs/deploy'
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument('deploy_cfg', help='deploy config file')
    parser.add_argument('config', help='config file of the model')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('image', help='image to compare on')
    parser.add_argument('--work-dir', required=True, metavar='DIR', help='folder of the results')
    parser.add_argument(
        '--data',
        nargs='?',
        const=True,
        metavar='ANN',
        help="compare the metrics too, on the config's test data or on this annotation file",
    )
    parser.add_argument(
        '--int8',
        action='store_true',
        help="quantise too; exits with 1 and keeps FP32 alone if the accuracy on the config's test data, or on --data "
        'ANN, drops too far',
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
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help="override settings of the model's config",
    )


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    if args.int8 and args.calib is None:
        raise UserError('--int8 needs --calib DIR or --calib ANN, images to calibrate on')
    if not args.int8 and (args.calib is not None or args.max_drop is not None):
        raise UserError('--calib and --max-drop are for --int8; add it')
    MMLogger.get_instance('mmengine', log_level='WARNING')
    from ..deploy.export import deploy
    from ..deploy.parity import format_table

    deploy_cfg = load_config(args.deploy_cfg)
    if args.input_size:
        deploy_cfg.onnx_config.input_shape = args.input_size
    cfg = load_config(args.config, args.cfg_options)
    if isinstance(args.data, str):
        if not cfg.get('test_dataloader') or not cfg.get('test_evaluator'):
            raise UserError(f'--data {args.data} needs a config with test_dataloader and test_evaluator')
        cfg.test_dataloader.dataset.ann_file = args.data
        cfg.test_evaluator.ann_file = args.data
    if args.int8:
        from ..deploy.accuracy_control import check_int8, quantize_export

        images = check_int8(deploy_cfg, cfg, args.calib, args.max_drop)
    result = deploy(
        deploy_cfg,
        cfg,
        args.config,
        args.checkpoint,
        args.image,
        args.work_dir,
        with_data=args.data is not None,
    )
    print(format_table(result.comparisons))
    for side, metrics in result.metrics.items():
        print(f'{side:>9}: ' + ', '.join(f'{key} {value:.4g}' for key, value in metrics.items()))
    if not result.passed:
        print(f'error: the export does not compute the same; see {result.work_dir / "parity.json"}', file=sys.stderr)
        return 1
    passed = True
    if args.int8:
        quantization = quantize_export(
            deploy_cfg, cfg, args.checkpoint, args.image, args.work_dir, images, args.max_drop
        )
        print(quantization.format_table())
        passed = quantization.kept
    print(f'{result.work_dir}: ' + ', '.join(sorted(path.name for path in result.work_dir.iterdir() if path.is_file())))
    if not passed:
        print(f'error: {quantization.format_refusal()}', file=sys.stderr)
    return 0 if passed else 1
