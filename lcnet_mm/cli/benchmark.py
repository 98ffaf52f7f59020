"""Measure and compare the latency of networks."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from mmengine.logging import MMLogger

from ..utils.errors import UserError

DESCRIPTION = (
    'Time networks at batch 1, synchronously, in turn, from the normalised image to the output of '
    'the network (detectors before NMS, segmentors to the classes of the pixels). The first one runs twice as a '
    'control; where the two differ by more than 5 percent the run is unreliable and the exit code is 1.'
)
EXAMPLE = (
    'example: %(prog)s configs/picodet_like/lcnet_1x_coco.py rival.onnx --threads 1; '
    '%(prog)s --suite paper-segmentation --out work_dirs/latency; '
    '%(prog)s work_dirs/demo/deploy --image data/digits/val2017/000000000001.jpg --layers'
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument(
        'models', nargs='*', metavar='MODEL', help='configs, .xml and .onnx files, folders that tools/deploy.py made'
    )
    parser.add_argument(
        '--suite',
        metavar='NAME',
        help='paper-classification, paper-ablations, paper-detection, paper-segmentation, detectors or segmentors: '
        'the networks of a table beside its figures; MODELs join',
    )
    parser.add_argument('--backend', choices=('openvino', 'onnxruntime', 'torch'), default='openvino')
    parser.add_argument(
        '--precision', choices=('f32', 'bf16', 'f16'), default='f32', help="OpenVINO's arithmetic (default: f32)"
    )
    parser.add_argument('--threads', type=int, nargs='+', metavar='N', help='default: 1 and all physical cores')
    parser.add_argument('--rounds', type=int, default=50, metavar='N', help='calls of each that count (default: 50)')
    parser.add_argument('--warmup', type=int, default=10, metavar='N', help='calls of each before (default: 10)')
    parser.add_argument('--shape', type=int, nargs=2, metavar=('H', 'W'), help="input size (default: the config's own)")
    parser.add_argument('--layers', action='store_true', help="OpenVINO's profile of every layer")
    parser.add_argument(
        '--roofline', action='store_true', help="measure sgemm and memory, and each network's share of what they allow"
    )
    parser.add_argument(
        '--image', type=Path, metavar='FILE', help='time preprocessing, network and post-processing of exports apart'
    )
    parser.add_argument('--out', type=Path, metavar='DIR', help='folder for JSON, CSV, Markdown and PNG plots')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the figures to this file')
    parser.add_argument('--doctor', action='store_true', help='say what is installed and what the CPU can do, and stop')


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    if args.doctor:
        from ..latency.doctor import format_report

        print(format_report())
        return 0
    if not args.models and not args.suite:
        raise UserError('name a MODEL or a --suite')
    for name, least in (('rounds', 2), ('warmup', 0)):
        if getattr(args, name) < least:
            raise UserError(f'--{name} must be at least {least}, got {getattr(args, name)}')
    if args.threads and min(args.threads) < 1:
        raise UserError(f'--threads must be at least 1, got {min(args.threads)}')
    MMLogger.get_instance('mmengine', log_level='ERROR')
    from ..latency.benchmark import Settings, run_benchmark

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
    with tempfile.TemporaryDirectory() as folder:
        report = run_benchmark(args.models, args.suite, args.shape, settings, Path(folder))
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
