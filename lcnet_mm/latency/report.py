"""Tables and plots of a benchmark."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use('Agg')
from matplotlib import pyplot

from ..utils.files import write_atomically
from ..utils.timing import Latency
from .layers import Layer
from .networks import Network
from .timing import CONTROL

Row = dict[str, Any]


def latency_rows(networks: Sequence[Network], results: Mapping[str, Latency], threads: int) -> list[Row]:
    """Return a row for each network and the control: milliseconds, the ratio to the first, and the network's facts.

    Args:
        networks: The networks.
        results: Their times by name.
        threads: The number of threads they were timed on.
    """
    first = next(iter(results.values())).median
    facts = {network.name: network.facts for network in networks}
    rows = []
    for name, latency in results.items():
        figures = latency.to_dict()
        rows.append(
            dict(
                name=name,
                threads=threads,
                median=figures['median'],
                p90=figures['p90'],
                min=figures['minimum'],
                ratio=latency.median / first,
                **facts.get(name, {}),
            )
        )
    return rows


def _columns_of(rows: Sequence[Row]) -> list[str]:
    """Return all keys of the rows, in the order of their first appearance."""
    return list(dict.fromkeys(key for row in rows for key in row))


def _format_cell(value: Any) -> str:
    """Return a float with at least three significant digits, and everything else as it is."""
    if isinstance(value, float):
        return f'{value:.2f}' if abs(value) < 100 else f'{value:.0f}'
    return '-' if value is None else str(value)


def format_text(rows: Sequence[Row]) -> str:
    """Return rows as aligned text."""
    columns = _columns_of(rows)
    cells = [columns, *([_format_cell(row.get(column)) for column in columns] for row in rows)]
    widths = [max(len(line[index]) for line in cells) for index in range(len(columns))]
    lines = []
    for line in cells:
        padded = [
            cell.ljust(width) if index == 0 else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        lines.append('  '.join(padded).rstrip())
    return '\n'.join(lines)


def format_markdown(rows: Sequence[Row]) -> str:
    """Return rows as a Markdown table."""
    columns = _columns_of(rows)
    lines = ['| ' + ' | '.join(columns) + ' |', '|' + '---|' * len(columns)]
    lines += ['| ' + ' | '.join(_format_cell(row.get(column)) for column in columns) + ' |' for row in rows]
    return '\n'.join(lines) + '\n'


def format_csv(rows: Sequence[Row]) -> str:
    """Return rows as CSV with unrounded numbers."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, _columns_of(rows), lineterminator='\n')
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()


def _save_figure(figure: Any, file: Path) -> None:
    """Write a plot to a PNG file and close it."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format='png', dpi=120, bbox_inches='tight')
    pyplot.close(figure)
    write_atomically(file, buffer.getvalue())


def plot_bars(rows: Sequence[Row], title: str, file: Path) -> None:
    """Plot medians as bars, with one color for each number of threads."""
    names = list(dict.fromkeys(row['name'] for row in rows if row['name'] != CONTROL))
    threads = sorted({row['threads'] for row in rows})
    figure, axes = pyplot.subplots(figsize=(8, 0.9 + 0.42 * len(names)))
    height = 0.8 / len(threads)
    for index, count in enumerate(threads):
        values = {row['name']: row['median'] for row in rows if row['threads'] == count}
        places = [place + index * height for place in range(len(names))]
        bars = axes.barh(places, [values.get(name, 0) for name in names], height, label=f'{count} threads')
        axes.bar_label(bars, fmt='%.1f', padding=3, fontsize=8)
    axes.set_yticks([place + 0.4 - height / 2 for place in range(len(names))], [_short_name(name) for name in names])
    axes.invert_yaxis()
    axes.set_xlabel('median latency, ms')
    axes.set_title(title, fontsize=10)
    axes.legend(fontsize=8)
    axes.margins(x=0.12)
    axes.spines[['top', 'right']].set_visible(False)
    _save_figure(figure, file)


def plot_stages(shares: Mapping[str, Mapping[str, float]], title: str, file: Path) -> None:
    """Plot the milliseconds of the stages of each network as stacked bars."""
    names = list(shares)
    stages = list(dict.fromkeys(stage for part in shares.values() for stage in part))
    figure, axes = pyplot.subplots(figsize=(8, 1.4 + 0.42 * len(names)), layout='constrained')
    left = [0.0] * len(names)
    for stage in stages:
        values = [shares[name].get(stage, 0.0) for name in names]
        bars = axes.barh([_short_name(name) for name in names], values, left=left, label=stage)
        labels = [f'{value:.1f}' if value > 0.06 * max(map(_sum_of, shares.values())) else '' for value in values]
        axes.bar_label(bars, labels, label_type='center', fontsize=8, color='white')
        left = [start + value for start, value in zip(left, values, strict=True)]
    axes.invert_yaxis()
    axes.set_xlabel('ms')
    axes.set_title(title, fontsize=10)
    figure.legend(fontsize=8, ncols=len(stages), loc='outside lower center')
    axes.spines[['top', 'right']].set_visible(False)
    _save_figure(figure, file)


def _sum_of(parts: Mapping[str, float]) -> float:
    """Return the sum of some parts."""
    return sum(parts.values())


def plot_accuracy(rows: Sequence[Row], accuracy: str, title: str, file: Path) -> None:
    """Plot accuracy against latency on a logarithmic axis, with one line for each family."""
    rows = [row for row in rows if isinstance(row.get(accuracy), float | int)]
    families: dict[str, list[Row]] = {}
    for row in rows:
        families.setdefault(row.get('family', ''), []).append(row)
    figure, axes = pyplot.subplots(figsize=(7.5, 4.8))
    for family, members in families.items():
        members = sorted(members, key=lambda row: row['median'])
        axes.plot([row['median'] for row in members], [row[accuracy] for row in members], 'o-', label=family or None)
        for row in members:
            place = (row['median'], row[accuracy])
            axes.annotate(_short_name(row['name']), place, xytext=(4, -9), textcoords='offset points', fontsize=7)
    axes.set_xscale('log')
    axes.set_xlabel('median latency, ms')
    axes.set_ylabel(accuracy)
    axes.set_title(title, fontsize=10)
    if any(families):
        axes.legend(fontsize=8)
    axes.grid(alpha=0.3, which='both')
    axes.margins(x=0.12, y=0.1)
    _save_figure(figure, file)


def plot_layers(layers: Sequence[Layer], title: str, file: Path) -> None:
    """Plot the time of every layer in the order of execution, with one color for each type of operation."""
    kinds = list(dict.fromkeys(layer.kind for layer in layers))
    colors = {kind: pyplot.get_cmap('tab20')(index % 20) for index, kind in enumerate(kinds)}
    figure, axes = pyplot.subplots(figsize=(8.5, 1 + 0.17 * len(layers)))
    axes.barh(
        range(len(layers)), [1e3 * layer.seconds for layer in layers], color=[colors[layer.kind] for layer in layers]
    )
    axes.set_yticks(range(len(layers)), [layer.name[-58:] for layer in layers], fontsize=6)
    axes.invert_yaxis()
    axes.set_xlabel('ms')
    axes.set_title(title, fontsize=10)
    axes.legend([pyplot.Rectangle((0, 0), 1, 1, color=colors[kind]) for kind in kinds], kinds, fontsize=7)
    axes.margins(y=0.01)
    axes.spines[['top', 'right']].set_visible(False)
    _save_figure(figure, file)


def layer_rows(layers: Sequence[Layer]) -> list[Row]:
    """Return a profile as rows of a table."""
    total = sum(layer.seconds for layer in layers)
    return [
        {
            'layer': layer.name,
            'op': layer.kind,
            'kernel': layer.primitive,
            'us': 1e6 * layer.seconds,
            'MMACs': layer.macs / 1e6,
            'GFLOP/s': layer.gflops,
            'share %': 100 * layer.seconds / total,
        }
        for layer in layers
    ]


def _short_name(name: str) -> str:
    """Return a file's name without its folder and suffix."""
    return Path(name).stem if name.endswith(('.py', '.xml', '.onnx')) else name
