"""Train configs with several seeds and compare a metric."""

import argparse

from mmengine.config import DictAction
from mmengine.logging import MMLogger

from lcnet_mm.apis import compare, run_cli
from lcnet_mm.utils.errors import UserError


def main() -> None:
    parser = argparse.ArgumentParser(
        description='Train each config with each seed, evaluate, and print the mean, the spread, and the difference to '
        'the first config over equal seeds. Runs that are complete are not repeated, so an interrupted call goes on.',
        epilog='example: python tools/compare_configs.py configs/demo/ssld/labels.py configs/demo/ssld/ssld.py '
        '--seeds 5 --work-dir work_dirs/demo_ssld',
    )
    parser.add_argument('configs', nargs='+', metavar='CONFIG', help='config files')
    parser.add_argument('--work-dir', required=True, metavar='DIR', help='folder of all runs and of comparison.json')
    parser.add_argument('--seeds', type=int, default=5, metavar='N', help='number of seeds (default: 5)')
    parser.add_argument('--metric', default='accuracy/top1', help='default: accuracy/top1')
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, default={}, metavar='KEY=VALUE', help='override settings of all'
    )
    args = parser.parse_args()
    if args.seeds < 1:
        raise UserError(f'--seeds must be at least 1, got {args.seeds}')
    MMLogger.get_instance('mmengine', log_level='WARNING')
    result = compare(
        args.configs, seeds=range(args.seeds), work_dir=args.work_dir, metric=args.metric, options=args.cfg_options
    )
    print(result.format_table())


if __name__ == '__main__':
    run_cli(main)
