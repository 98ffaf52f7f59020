"""Compare the latency of detectors' networks on OpenVINO."""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import torch
from tqdm import tqdm

from lcnet_mm.apis import load_config, run_cli
from lcnet_mm.apis.train import BUILD_ERRORS
from lcnet_mm.errors import UserError, as_user_error


def main() -> int:
    parser = argparse.ArgumentParser(
        description='Time the networks of PicoDet configs on OpenVINO in turn: batch 1, float32, from the normalised '
        'input to scores and boxes before NMS. The first one runs twice as a control; exits with 1 if the two differ '
        'by more than 5 percent.',
        epilog='example: python tools/benchmark.py configs/picodet_like/lcnet_1x_coco.py '
        'configs/picodet_like/mobilenetv3_large_0.75x_coco.py --threads 1',
    )
    parser.add_argument('configs', nargs='+', metavar='CONFIG', help='config files of PicoDets')
    parser.add_argument('--threads', type=int, nargs='+', metavar='N', help='default: 1 and all cores')
    parser.add_argument('--rounds', type=int, default=50, metavar='N', help='calls of each that count (default: 50)')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the figures to this file')
    args = parser.parse_args()
    from lcnet_mm.latency.network import (
        CONTROL,
        MAX_CONTROL_DIFFERENCE,
        control_difference,
        convert_network,
        cpu_name,
        measure_networks,
    )

    networks = {}
    with tempfile.TemporaryDirectory() as folder:
        for path in tqdm(args.configs, desc='convert', unit='model', disable=len(args.configs) == 1):
            cfg = load_config(path)
            if not str(cfg.get('model', {}).get('bbox_head', {}).get('type')).startswith('PicoDet'):
                raise UserError(f'config {path} has no PicoDet head')
            with as_user_error(f'the model of {path} cannot be converted', *BUILD_ERRORS):
                networks[path], _ = convert_network(cfg, Path(folder))
    report: dict = dict(cpu=cpu_name(), threads={})
    reliable = True
    width = max(map(len, [*networks, CONTROL]))
    for threads in args.threads or sorted({1, torch.get_num_threads()}):
        results = measure_networks(networks, threads, args.rounds)
        difference = control_difference(results)
        reliable &= difference <= MAX_CONTROL_DIFFERENCE
        print(f'{report["cpu"]}, {threads} threads, {args.rounds} rounds, ms')
        print(f'{"":<{width}}  {"median":>8}  {"p90":>8}  {"min":>8}  {"ratio":>6}')
        first = next(iter(results.values())).median
        for name, latency in results.items():
            row = latency.to_dict()
            print(
                f'{name:<{width}}  {row["median"]:8.2f}  {row["p90"]:8.2f}  {row["minimum"]:8.2f}'
                f'  {latency.median / first:6.2f}'
            )
        report['threads'][threads] = {name: latency.to_dict() for name, latency in results.items()}
    report['reliable'] = reliable
    if args.json:
        with as_user_error(f'{args.json} cannot be written', OSError):
            args.json.write_text(json.dumps(report, indent=1) + '\n')
    if not reliable:
        print('error: the control differs by more than 5 %; close other programs and run it again', file=sys.stderr)
    return 0 if reliable else 1


if __name__ == '__main__':
    run_cli(main)
