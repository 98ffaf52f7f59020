"""Measure and compare the latency of networks."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mmengine.logging import MMLogger

from ..utils.errors import UserError

DESCRIPTION = (
    'Time networks at batch 1, one call at a time and in turn, from the normalized image to the output of the network '
    '(of detectors before NMS, of segmentors the class of each pixel). The first network runs twice as a control: if '
    'its two times differ by more than 5 percent, the run is unreliable and the exit code is 1.'
)
EXAMPLES = (
    'configs/picodet_like/lcnet_1x_coco.py other.onnx --threads 1',
    '--suite paper-segmentation --out work_dirs/latency',
    'work_dirs/demo/deploy --image data/digits/val2017/000000000001.jpg --layers',
)

# What has no effect on --doctor.
_MEASURING = ('models', 'suite', 'threads', 'shape', 'layers', 'roofline', 'image', 'out', 'json')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument(
        'models', nargs='*', metavar='MODEL', help='configs, .xml and .onnx files, folders of exports (lcnet deploy)'
    )
    parser.add_argument(
        '--suite',
        metavar='NAME',
        help='a ready list of networks, with published figures next to the measured ones: paper-classification, '
        'paper-ablations, paper-detection, paper-segmentation, classifiers, detectors, segmentors, mobileseg or '
        'mobileseg-full; MODELs are measured with it',
    )
    parser.add_argument(
        '--backend',
        choices=('openvino', 'onnxruntime', 'torch'),
        default='openvino',
        help='what runs the networks (default: openvino)',
    )
    parser.add_argument(
        '--precision', choices=('f32', 'bf16', 'f16'), default='f32', help="OpenVINO's arithmetic (default: f32)"
    )
    parser.add_argument(
        '--threads', type=int, nargs='+', metavar='N', help='numbers of threads (default: 1 and all physical cores)'
    )
    parser.add_argument('--rounds', type=int, default=50, metavar='N', help='timed calls of each network (default: 50)')
    parser.add_argument(
        '--warmup', type=int, default=10, metavar='N', help='calls of each before they are timed (default: 10)'
    )
    parser.add_argument('--shape', type=int, nargs=2, metavar=('H', 'W'), help="input size (default: each model's own)")
    parser.add_argument('--layers', action='store_true', help='print the time of every layer, as OpenVINO measures it')
    parser.add_argument(
        '--roofline',
        action='store_true',
        help='measure the speed of matrix products and of memory, and how close each network comes to it',
    )
    parser.add_argument(
        '--image',
        type=Path,
        metavar='FILE',
        help='also time preprocessing, network and post-processing of exports on this image',
    )
    parser.add_argument('--out', type=Path, metavar='DIR', help='folder for JSON, CSV, Markdown and PNG plots')
    parser.add_argument('--json', type=Path, metavar='FILE', help='also write the figures to this JSON file')
    parser.add_argument('--doctor', action='store_true', help='only print what is installed and what the CPU can do')


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    if args.doctor:
        if ignored := [name for name in _MEASURING if getattr(args, name)]:
            name = 'MODEL' if ignored[0] == 'models' else f'--{ignored[0]}'
            raise UserError(f'--doctor measures nothing, and {name} has no effect on it: leave one of them out')
        from ..latency.doctor import format_report

        print(format_report())
        return 0
    if not args.models and not args.suite:
        raise UserError('name a MODEL or a --suite')
    MMLogger.get_instance('mmengine', log_level='ERROR')
    from ..apis import benchmark
    from ..latency import Settings

    settings = Settings(
        backend=args.backend,
        precision=args.precision,
        threads=args.threads,
        rounds=args.rounds,
        warmup=args.warmup,
        layers=args.layers,
        roofline=args.roofline,
        image=args.image,
    )
    report = benchmark(args.models, suite=args.suite, shape=args.shape, settings=settings)
    print(report.format_text())
    if args.out:
        report.save(args.out)
        print(f'{args.out}: ' + ', '.join(sorted(path.name for path in args.out.iterdir())))
    if args.json:
        report.save_json(args.json)
    if not report.reliable:
        print(
            f'error: the control differs by {report.control:.1%}, more than 5 %: the ratios of this run are '
            'unreliable; close other programs and run it again',
            file=sys.stderr,
        )
    return 0 if report.reliable else 1
