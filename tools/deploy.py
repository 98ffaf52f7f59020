"""Export a checkpoint to ONNX and OpenVINO, and prove that it computes the same."""

import argparse
import sys

from mmengine.config import DictAction
from mmengine.logging import MMLogger

from lcnet_mm.apis import load_config, run_cli


def main() -> int:
    parser = argparse.ArgumentParser(
        description='Export a checkpoint through mmdeploy, compare PyTorch, ONNX Runtime and OpenVINO, and describe '
        'the model for lcnet_mm.runtime. Exits with 1 if a tolerance is not held.',
        epilog='example: python tools/deploy.py configs/deploy/detection_openvino_static-320x320.py '
        'configs/demo/lcnet_0.5x_digits.py work_dirs/demo/epoch_26.pth data/digits/val2017/000000000001.jpg '
        '--work-dir work_dirs/deploy',
    )
    parser.add_argument('deploy_cfg', help='deploy config file')
    parser.add_argument('config', help='config file of the model')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('image', help='picture to compare on')
    parser.add_argument('--work-dir', required=True, metavar='DIR', help='folder of the results')
    parser.add_argument(
        '--data',
        nargs='?',
        const=True,
        metavar='ANN',
        help="compare the metrics too, on the config's test data or on this annotation file",
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
    args = parser.parse_args()
    MMLogger.get_instance('mmengine', log_level='WARNING')
    from lcnet_mm.deploy.export import deploy
    from lcnet_mm.deploy.parity import format_table

    deploy_cfg = load_config(args.deploy_cfg)
    if args.input_size:
        deploy_cfg.onnx_config.input_shape = args.input_size
    cfg = load_config(args.config, args.cfg_options)
    if isinstance(args.data, str):
        cfg.test_dataloader.dataset.ann_file = args.data
        cfg.test_evaluator.ann_file = args.data
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
    print(f'{result.work_dir}: ' + ', '.join(sorted(path.name for path in result.work_dir.iterdir() if path.is_file())))
    if not result.passed:
        print(f'error: the export does not compute the same; see {result.work_dir / "parity.json"}', file=sys.stderr)
    return 0 if result.passed else 1


if __name__ == '__main__':
    run_cli(main)
