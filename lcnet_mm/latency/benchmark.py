"""A whole run of the benchmark: build, time, profile, report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ..utils.errors import UserError, as_user_error
from ..utils.files import write_atomically, write_json
from ..utils.images import read_image
from ..utils.machine import describe_machine, format_machine, physical_cores
from ..utils.timing import time_in_turn
from . import report as reporting
from .layers import FINAL_STAGE, Layer, Roofline, measure_roofline, profile_layers, stage_shares
from .networks import Network, load_networks
from .stages import suppression, time_stages
from .suites import ACCURACY, PAPER_MS, build_suite
from .timing import MAX_CONTROL_DIFFERENCE, control_difference, time_networks

# The paper's ratios compare each PP-LCNet with this rival.
PAPER_RIVALS = {
    'lcnet_0.5x': 'mobilenetv3_large_0.5x',
    'lcnet_1x': 'mobilenetv3_large_0.75x',
}
PAPER_DETECTION_RIVALS = {'lcnet_0.5x': 'mobilenetv3_large_0.35x', 'lcnet_1x': 'mobilenetv3_large_0.75x'}
STRIDES = (8, 16, 32, 64)


@dataclass
class Settings:
    """How to measure.

    Attributes:
        backend: One of :data:`~lcnet_mm.latency.timing.BACKENDS`.
        precision: OpenVINO's arithmetic.
        threads: Numbers of threads; 1 and all physical cores by default.
        rounds: Calls of each network that count.
        warmup: Calls of each before.
        layers: Whether to profile every layer.
        roofline: Whether to measure the machine's limits.
        image: An image, to time the stages of exports on.
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
        machine: As :func:`~lcnet_mm.latency.machine.describe_machine` returns it.
        settings: How it was measured.
        suite: Name of the suite, or None.
        rows: One for each network, control and number of threads.
        paper_rows: Our ratios beside the paper's.
        shares: Share of each stage, by segmentor, on the first number of threads.
        stages: Milliseconds of each stage, by export and threads.
        layers: Profile by network, on the first number of threads.
        rooflines: Limits by number of threads.
        control: The largest difference of the A-A control.
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
    def reliable(self) -> bool:
        """Whether the control holds."""
        return self.control <= MAX_CONTROL_DIFFERENCE

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        """All tables but the layers', by title."""
        tables = {'Latency, ms': self.rows}
        if self.paper_rows:
            tables['Ratios beside the paper'] = self.paper_rows
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
            lines += ['', f'Layers of {name}', reporting.format_text(reporting.layer_rows(layers))]
        return '\n'.join(lines)

    def format_markdown(self) -> str:
        """Return the report as a page."""
        parts = [
            '# Latency\n',
            f'{format_machine(self.machine)}; {self.settings.backend}, {self.settings.precision}, batch 1, '
            f'{self.settings.rounds} rounds in turn, control within {self.control:.1%}, '
            f'{"reliable" if self.reliable else "UNRELIABLE"}; commit {self.machine["commit"]}.\n',
        ]
        for title, rows in self.tables().items():
            parts += [f'## {title}\n', reporting.format_markdown(rows)]
        for name, layers in self.layers.items():
            parts += [f'## Layers of {name}\n', reporting.format_markdown(reporting.layer_rows(layers))]
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
        """Write all figures to a file."""
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
            first = self.rows[0]['threads']
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
        paths: Configs, files and folders.
        suite: Name of a suite to build too, or None.
        size: Height and width for the paths, or None.
        settings: How to measure.
        folder: For temporary files.

    Raises:
        UserError: something cannot be built or read, or the backend does not fit.
    """
    networks = load_networks(paths, folder, (size[0], size[1]) if size else None)
    if suite:
        networks += build_suite(suite, folder, partial(tqdm, desc='build', unit='network'))
    names = [network.name for network in networks]
    if len(set(names)) < len(names):
        raise UserError(
            f'{max(names, key=names.count)} is named more than once; the control repeats the first by itself'
        )
    threads = list(settings.threads or sorted({1, physical_cores()}))
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
        add_suppression(report.rows, networks, settings.rounds)
    report.paper_rows = compare_with_paper(report.rows, suite)
    if settings.backend == 'openvino':
        profile(report, networks, settings, threads)
    for path in paths if settings.image else ():
        if Path(path).is_dir():
            report.stages += stage_rows(path, settings, threads)
    return report


def profile(report: Report, networks: Sequence[Network], settings: Settings, threads: Sequence[int]) -> None:
    """Add the profile of the layers, the shares of the stages and the limits of the machine, as far as asked for."""
    segmentors = [network for network in networks if type(network.module).__name__ == 'SegmentorNetwork']
    wanted = networks if settings.layers or settings.roofline else segmentors
    layers = {network.name: profile_layers(network, threads[0], precision=settings.precision) for network in wanted}
    report.shares = {network.name: stage_shares(layers[network.name]) for network in segmentors}
    # Rivals without mmseg's head have no such stages.
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


def add_suppression(rows: list[dict[str, Any]], networks: Sequence[Network], rounds: int) -> None:
    """Add the milliseconds of NMS on realistic scores, for as many points as each detector has."""
    calls = {}
    for network in networks:
        height, width = network.input_shape[2:]
        strides = STRIDES if network.name.startswith('PicoDet') else STRIDES[:3]
        calls[network.name] = suppression(sum(-(-height // s) * -(-width // s) for s in strides))
    for name, latency in time_in_turn(calls, rounds).items():
        for row in rows:
            if row['name'] == name:
                row['NMS ms'] = 1e3 * latency.median


def compare_with_paper(rows: Sequence[dict[str, Any]], suite: str | None) -> list[dict[str, Any]]:
    """Our ratios of PP-LCNet to its rival, or to the suite's default, beside the paper's."""
    compared = []
    for row in rows:
        if PAPER_MS not in row:
            continue
        if suite == 'paper-ablations':
            rival_name = 'PP-LCNet-0.5x'
        elif suite == 'paper-classification':
            rival_name = 'MobileNetV3-large-0.35x'
        else:
            rivals = PAPER_DETECTION_RIVALS if suite == 'paper-detection' else PAPER_RIVALS
            backbone, _, size = row['name'].partition(' ')
            rival_name = f'{rivals.get(backbone)} {size}'.strip()
        rival = next((r for r in rows if r['name'] == rival_name and r['threads'] == row['threads']), None)
        if rival is None or rival is row:
            continue
        compared.append(
            dict(
                name=row['name'],
                rival=rival_name,
                threads=row['threads'],
                ours=row['median'] / rival['median'],
                paper=row[PAPER_MS] / rival[PAPER_MS],
            )
        )
    return compared


def stage_rows(path: str, settings: Settings, threads: Sequence[int]) -> list[dict[str, Any]]:
    """Milliseconds of the stages of an export."""
    from ..runtime.models import load_model

    assert settings.image is not None
    if not settings.image.is_file():
        raise UserError(f'image {settings.image} does not exist')
    with as_user_error(f'image {settings.image}', ValueError):
        image = read_image(settings.image)
    rows = []
    for count in threads:
        stages = time_stages(load_model(path, count), image, settings.rounds, settings.warmup)
        whole = stages['whole'].median
        rows.append(
            dict(
                name=path,
                threads=count,
                **{name: 1e3 * latency.median for name, latency in stages.items()},
                **{'post-processing %': 100 * stages['post-processing'].median / whole},
            )
        )
    return rows
