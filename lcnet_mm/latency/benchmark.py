"""A whole run of the benchmark: build the networks, time them, profile them, and report."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from ..runtime.loading import load_model
from ..utils.errors import UserError, as_user_error
from ..utils.files import write_atomically, write_json
from ..utils.images import read_image
from ..utils.machine import describe_machine, format_machine, physical_cores
from ..utils.timing import time_in_turn
from . import report as reporting
from .layers import FINAL_STAGE, Layer, Roofline, measure_roofline, profile_layers, stage_shares
from .networks import Network, SegmentorNetwork, load_networks
from .stages import suppression, time_stages
from .suites import ACCURACY, PAPER_MS, build_suite
from .timing import MAX_CONTROL_DIFFERENCE, check_backend, compile_openvino, control_difference, time_networks

# The network that the paper compares each PP-LCNet with, as backbone of segmentors and of detectors.
_PAPER_BASELINES = {'lcnet_0.5x': 'mobilenetv3_large_0.5x', 'lcnet_1x': 'mobilenetv3_large_0.75x'}
_PAPER_DETECTION_BASELINES = {'lcnet_0.5x': 'mobilenetv3_large_0.35x', 'lcnet_1x': 'mobilenetv3_large_0.75x'}
# Strides of PicoDet's levels; the other detectors of the suite have the first three.
_STRIDES = (8, 16, 32, 64)


@dataclass
class Settings:
    """How to measure.

    Attributes:
        backend: One of :data:`~lcnet_mm.latency.timing.BACKENDS`.
        precision: One of :data:`~lcnet_mm.latency.timing.PRECISIONS`; anything but 'f32' needs OpenVINO.
        threads: Numbers of threads; 1 and all physical cores by default.
        rounds: Number of rounds that are recorded.
        warmup: Number of rounds before them that are not.
        layers: Whether to profile every layer, which needs OpenVINO.
        roofline: Whether to measure the machine's limits and compare the networks with them, which needs OpenVINO and
            'f32'.
        image: File of an image on which to time the stages of exports, which needs OpenVINO and 'f32'.
    """

    backend: str = 'openvino'
    precision: str = 'f32'
    threads: Sequence[int] | None = None
    rounds: int = 50
    warmup: int = 10
    layers: bool = False
    roofline: bool = False
    image: Path | None = None


@dataclass
class Report:
    """What a run measured.

    Attributes:
        machine: As :func:`~lcnet_mm.utils.machine.describe_machine` returns it.
        settings: How it was measured.
        suite: Name of the suite, or None.
        rows: One row for each network, the control included, and each number of threads.
        paper_rows: The measured ratios and the paper's.
        shares: For each segmentor the share of each stage in its time, on the first number of threads.
        stages: For each export and number of threads the milliseconds of each stage.
        layers: For each network the profile of its layers, on the first number of threads.
        rooflines: The limits of the machine for each number of threads.
        control: The largest difference between the first network and its repetition, the control, as a fraction.
    """

    machine: dict[str, Any]
    settings: Settings
    suite: str | None
    rows: list[dict[str, Any]] = field(default_factory=list)
    paper_rows: list[dict[str, Any]] = field(default_factory=list)
    shares: dict[str, dict[str, float]] = field(default_factory=dict)
    stages: list[dict[str, Any]] = field(default_factory=list)
    layers: dict[str, list[Layer]] = field(default_factory=dict)
    rooflines: dict[int, Roofline] = field(default_factory=dict)
    control: float = 0.0

    @property
    def first_threads(self) -> int:
        """The first number of threads, on which layers are profiled."""
        count: int = self.rows[0]['threads']
        return count

    @property
    def reliable(self) -> bool:
        """Whether the control is close enough to the first network."""
        return self.control <= MAX_CONTROL_DIFFERENCE

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        """Return all tables by title, except those of the layers."""
        tables = {'Latency, ms': self.rows}
        if self.paper_rows:
            tables['Ratios here and in the paper'] = self.paper_rows
        if self.shares:
            rows = [
                dict(name=name, **{stage: f'{share:.0%}' for stage, share in shares.items()})
                for name, shares in self.shares.items()
            ]
            tables['Shares of the stages'] = rows
        if self.stages:
            tables['Stages of the exports, ms'] = self.stages
        return tables

    def format_text(self) -> str:
        """Return the report for the terminal."""
        lines = [format_machine(self.machine)]
        lines.append(
            f'{self.settings.backend}, {self.settings.precision}, batch 1, {self.settings.rounds} rounds in turn, '
            f'control within {self.control:.1%}'
        )
        for threads, roofline in self.rooflines.items():
            copies = ', '.join(f'{size / 2**20:g} MiB {speed:.0f}' for size, speed in roofline.bandwidth.items())
            lines.append(f'{threads} threads: sgemm {roofline.gflops:.0f} GFLOP/s; copies of {copies} GB/s')
        for title, rows in self.tables().items():
            lines += ['', title, reporting.format_text(rows)]
        for name, layers in self.layers.items():
            title, rows = f'Layers of {name}, {self.first_threads} thread(s)', reporting.layer_rows(layers)
            lines += ['', title, reporting.format_text(rows)]
        return '\n'.join(lines)

    def format_markdown(self) -> str:
        """Return the report in Markdown."""
        parts = [
            '# Latency\n',
            f'{format_machine(self.machine)}; {self.settings.backend}, {self.settings.precision}, batch 1, '
            f'{self.settings.rounds} rounds in turn, control within {self.control:.1%}, '
            f'{"reliable" if self.reliable else "UNRELIABLE"}; commit {self.machine["commit"]}.\n',
        ]
        for title, rows in self.tables().items():
            parts += [f'## {title}\n', reporting.format_markdown(rows)]
        for name, layers in self.layers.items():
            title, rows = f'## Layers of {name}, {self.first_threads} thread(s)\n', reporting.layer_rows(layers)
            parts += [title, reporting.format_markdown(rows)]
        return '\n'.join(parts)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON types."""
        return dict(
            machine=self.machine,
            settings={
                key: str(value) if isinstance(value, Path) else value for key, value in vars(self.settings).items()
            },
            suite=self.suite,
            reliable=self.reliable,
            control=self.control,
            latency=self.rows,
            paper=self.paper_rows,
            shares=self.shares,
            stages=self.stages,
            layers={name: [layer.to_dict() for layer in layers] for name, layers in self.layers.items()},
            roofline={threads: asdict(roofline) for threads, roofline in self.rooflines.items()},
        )

    def save_json(self, file: Path) -> None:
        """Write all figures to a JSON file."""
        with as_user_error(f'{file} cannot be written', OSError):
            file.parent.mkdir(parents=True, exist_ok=True)
            write_json(file, self.to_dict())

    def save(self, folder: Path) -> None:
        """Write JSON, CSV, Markdown and the plots into a folder."""
        with as_user_error(f'{folder} cannot be written', OSError):
            folder.mkdir(parents=True, exist_ok=True)
            write_json(folder / 'latency.json', self.to_dict())
            write_atomically(folder / 'latency.csv', reporting.format_csv(self.rows))
            write_atomically(folder / 'latency.md', self.format_markdown())
            title = f'{self.machine["cpu"]}, {self.settings.backend} {self.settings.precision}'
            reporting.plot_bars(self.rows, title, folder / 'latency.png')
            first = self.first_threads
            alone = [row for row in self.rows if row['threads'] == first]
            accuracy = ACCURACY.get(self.suite or '')
            if accuracy:
                reporting.plot_accuracy(alone, accuracy, f'{title}, {first} thread(s)', folder / 'accuracy.png')
            if self.shares:
                medians = {row['name']: row['median'] for row in alone}
                parts = {
                    name: {stage: share * medians[name] for stage, share in shares.items()}
                    for name, shares in self.shares.items()
                }
                reporting.plot_stages(parts, f'{title}, {first} thread(s)', folder / 'stages.png')
            for index, (name, layers) in enumerate(self.layers.items()):
                reporting.plot_layers(layers, f'{name}, {first} thread(s)', folder / f'layers_{index}.png')


def run_benchmark(
    paths: Sequence[str],
    suite: str | None,
    size: Sequence[int] | None,
    settings: Settings,
    folder: Path,
) -> Report:
    """Build the networks, time them on each number of threads, and profile them.

    Args:
        paths: Configs, files and folders; see :func:`~lcnet_mm.latency.networks.load_networks`.
        suite: Name of a suite whose networks are added, or None.
        size: Height and width of the input of the networks in ``paths``; None takes their own.
        settings: How to measure.
        folder: A folder for temporary files.

    Raises:
        UserError: something cannot be built or read, or a setting would have no effect.
    """
    _check_settings(paths, size, settings)
    image = _read_image(settings.image) if settings.image else None
    networks = load_networks(paths, folder, (size[0], size[1]) if size else None)
    entries = build_suite(suite, folder, partial(tqdm, desc='build', unit='network')) if suite else []
    networks += entries
    if not networks:
        raise UserError('there is nothing to time: name a model or a suite')
    names = [network.name for network in networks]
    if len(set(names)) < len(names):
        raise UserError(
            f'{max(names, key=names.count)} is named more than once; the control repeats the first network already'
        )
    threads = _thread_counts(networks[0], settings)
    report = Report(describe_machine(), settings, suite)
    with tqdm(total=len(threads) * (settings.warmup + settings.rounds), desc='time', unit='round') as bar:
        for count in threads:
            results = time_networks(
                networks,
                backend=settings.backend,
                threads=count,
                precision=settings.precision,
                rounds=settings.rounds,
                warmup=settings.warmup,
                progress=bar.update,
            )
            report.control = max(report.control, control_difference(results))
            report.rows += reporting.latency_rows(networks, results, count)
    if suite == 'detectors':
        _add_suppression(report.rows, entries, settings)
    report.paper_rows = compare_with_paper(report.rows, suite)
    if settings.backend == 'openvino':
        _profile(report, networks, settings, threads)
    if image is not None:
        for path in filter(os.path.isdir, paths):
            report.stages += _stage_rows(path, image, settings, threads)
    return report


def _check_settings(paths: Sequence[str], size: Sequence[int] | None, settings: Settings) -> None:
    """Check that every setting is known and has an effect.

    Raises:
        UserError: one is unknown or has none.
    """
    check_backend(settings.backend, settings.precision)
    for wanted, what in (
        (settings.layers, 'the profile of the layers'),
        (settings.roofline, 'the roofline'),
        (settings.image is not None, 'an image'),
    ):
        if wanted and settings.backend != 'openvino':
            raise UserError(f'{what} needs the backend openvino, got {settings.backend}')
    if settings.roofline and settings.precision != 'f32':
        raise UserError(f'the roofline needs precision f32, got {settings.precision}')
    if settings.image is not None and settings.precision != 'f32':
        raise UserError(f'an image needs precision f32, got {settings.precision}')
    if settings.image is not None and not any(map(os.path.isdir, paths)):
        raise UserError('only the stages of exports are timed on an image: name the folder of one')
    if size is not None and not paths:
        raise UserError('an input size has no effect on a suite, whose networks have their own')


def _read_image(file: Path) -> np.ndarray:
    """Read the image on which stages are timed.

    Raises:
        UserError: it does not exist or cannot be decoded.
    """
    if not file.is_file():
        raise UserError(f'image {file} does not exist')
    with as_user_error(f'image {file}', ValueError):
        return read_image(file)


def _thread_counts(network: Network, settings: Settings) -> list[int]:
    """Return the numbers of threads to measure on, all different.

    On a machine with fewer cores OpenVINO silently uses fewer threads than asked for, so a network is compiled to see
    how many it uses.

    Raises:
        UserError: OpenVINO would use another number of threads than the settings name.
    """
    asked = list(dict.fromkeys(settings.threads or (1, physical_cores())))
    if settings.backend != 'openvino':
        return asked
    used = [
        int(compile_openvino(network, count, settings.precision).get_property('INFERENCE_NUM_THREADS'))
        for count in asked
    ]
    for wanted, count in zip(asked, used, strict=True):
        if settings.threads and wanted != count:
            raise UserError(f'OpenVINO uses {count} threads on this machine where {wanted} are asked for; use fewer')
    return list(dict.fromkeys(used))


def _profile(report: Report, networks: Sequence[Network], settings: Settings, threads: Sequence[int]) -> None:
    """Add the profile of the layers and the limits of the machine, if asked for, and the stages of segmentors."""
    segmentors = [network for network in networks if isinstance(network.module, SegmentorNetwork)]
    wanted = networks if settings.layers or settings.roofline else segmentors
    layers = {network.name: profile_layers(network, threads[0], precision=settings.precision) for network in wanted}
    report.shares = {network.name: stage_shares(layers[network.name]) for network in segmentors}
    # Segmentors with other heads than those of this package have no such stages.
    report.shares = {
        name: shares for name, shares in report.shares.items() if shares['decoder'] and shares[FINAL_STAGE]
    }
    if settings.layers:
        report.layers = layers
    if settings.roofline:
        for count in threads:
            roofline = report.rooflines[count] = measure_roofline(count)
            for network in networks:
                profiled = layers[network.name]
                if count != threads[0]:
                    profiled = profile_layers(network, count, precision=settings.precision)
                (row,) = (r for r in report.rows if r['name'] == network.name and r['threads'] == count)
                macs = sum(layer.macs for layer in profiled)
                row['MMACs'] = macs / 1e6
                row['% of sgemm'] = 100 * 2e-9 * macs / (1e-3 * row['median']) / roofline.gflops
                row['% of attainable'] = 100 * sum(map(roofline.seconds, profiled)) / (1e-3 * row['median'])


def _add_suppression(rows: list[dict[str, Any]], networks: Sequence[Network], settings: Settings) -> None:
    """Add the milliseconds of NMS on realistic scores for the number of points of each detector."""
    calls = {}
    for network in networks:
        height, width = network.input_shape[2:]
        strides = _STRIDES if network.name.startswith('PicoDet') else _STRIDES[:3]
        calls[network.name] = suppression(sum(-(-height // s) * -(-width // s) for s in strides))
    for name, latency in time_in_turn(calls, settings.rounds, settings.warmup).items():
        for row in rows:
            if row['name'] == name:
                row['NMS ms'] = 1e3 * latency.median


def compare_with_paper(rows: Sequence[dict[str, Any]], suite: str | None) -> list[dict[str, Any]]:
    """Return the ratio of each network's time to that of its baseline in the paper, here and in the paper.

    Args:
        rows: The report's rows.
        suite: Name of the suite that they belong to.
    """
    compared = []
    for row in rows:
        if PAPER_MS not in row:
            continue
        if suite == 'paper-ablations':
            baseline_name = 'PP-LCNet-0.5x'
        elif suite == 'paper-classification':
            baseline_name = 'MobileNetV3-large-0.35x'
        else:
            baselines = _PAPER_DETECTION_BASELINES if suite == 'paper-detection' else _PAPER_BASELINES
            backbone, _, size = row['name'].partition(' ')
            baseline_name = f'{baselines.get(backbone)} {size}'.strip()
        baseline = next((r for r in rows if r['name'] == baseline_name and r['threads'] == row['threads']), None)
        if baseline is None or baseline is row:
            continue
        compared.append(
            dict(
                name=row['name'],
                baseline=baseline_name,
                threads=row['threads'],
                ours=row['median'] / baseline['median'],
                paper=row[PAPER_MS] / baseline[PAPER_MS],
            )
        )
    return compared


def _stage_rows(path: str, image: np.ndarray, settings: Settings, threads: Sequence[int]) -> list[dict[str, Any]]:
    """Return the milliseconds of the stages of an export, one row for each number of threads."""
    rows = []
    for count in threads:
        stages = time_stages(load_model(path, count), image, settings.rounds, settings.warmup)
        milliseconds = {name: 1e3 * latency.median for name, latency in stages.items()}
        share = 100 * milliseconds['post-processing'] / milliseconds['whole']
        rows.append(dict(name=path, threads=count, **milliseconds, **{'post-processing %': share}))
    return rows
