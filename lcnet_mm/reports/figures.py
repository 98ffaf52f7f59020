"""Curves, bars and matrices."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

# Of more classes only the lowest curves have a color and a name.
_NAMED_CURVES, _LOWEST_CURVES = 8, 5
# Of more classes, bars and cells have no names, or no numbers.
_NAMED_BARS, _NAMED_CELLS, _NUMBERED_CELLS = 40, 100, 15
# Okabe and Ito's colors, which differ for the color-blind and in print.
_COLORS = ('#0072b2', '#e69f00', '#009e73', '#d55e00', '#cc79a7', '#56b4e9', '#8c6d1f', '#6a3d9a')
_LONGEST_NAME = 18

Curve = tuple[str, np.ndarray]


def draw_curves(x: np.ndarray, curves: Sequence[Curve], average: Curve, labels: tuple[str, str]) -> bytes:
    """Draw a curve for each class, and one over all of them, as SVG.

    Args:
        x: The values between 0 and 1 at which all curves are given ``(N,)``.
        curves: Name and values ``(N,)`` of each class.
        average: Name and values of the curve over all.
        labels: What x and y are.
    """
    figure, axes = _start(4.8, 3.8)
    named = {name for name, _ in curves}
    if len(curves) > _NAMED_CURVES:
        named = {name for name, _ in sorted(curves, key=lambda curve: float(curve[1].mean()))[:_LOWEST_CURVES]}
    colors = iter(_COLORS)
    for name, y in sorted(curves, key=lambda curve: curve[0] in named):
        if name in named:
            axes.plot(x, y, color=next(colors), linewidth=1.6, label=_short(name))
        else:
            axes.plot(x, y, color='#b4bcc6', linewidth=0.7)
    if len(curves) > 1:
        axes.plot(x, average[1], color='black', linewidth=2.6, label=average[0])
    axes.set(xlabel=labels[0], ylabel=labels[1], xlim=(0, 1), ylim=(0, 1.02))
    axes.grid(alpha=0.3)
    hidden = len(curves) - len(named)
    title = f'lowest {len(named)} of {len(curves)} classes' if hidden else None
    axes.legend(fontsize=9, title=title, title_fontsize=9, loc='best')
    return _save(figure, 'svg')


def draw_bars(names: Sequence[str], values: Sequence[float | None], label: str) -> bytes:
    """Draw a bar for each name, as SVG; many of them in falling order and without names.

    Args:
        names: Their names.
        values: Their values; None for none.
        label: What the values are.
    """
    figure, axes = _start(4.8, 3.8 if len(names) <= 13 or len(names) > _NAMED_BARS else 0.28 * len(names))
    if len(names) > _NAMED_BARS:
        heights = sorted((value or 0 for value in values), reverse=True)
        axes.bar(range(len(names)), heights, width=1.0, color=_COLORS[0])
        axes.set(xlabel=f'{len(names)} classes in falling order', ylabel=label)
        axes.grid(axis='y', alpha=0.3)
    else:
        bars = axes.barh(range(len(names)), [value or 0 for value in values], color=_COLORS[0])
        axes.bar_label(bars, [_number(value) for value in values], padding=3, fontsize=9)
        axes.set_yticks(range(len(names)), [_short(name) for name in names])
        axes.set_xlabel(label)
        axes.invert_yaxis()
        axes.margins(x=0.15)
        axes.grid(axis='x', alpha=0.3)
    axes.set_axisbelow(True)
    axes.spines[['top', 'right']].set_visible(False)
    return _save(figure, 'svg')


def draw_matrix(matrix: np.ndarray, names: Sequence[str]) -> bytes:
    """Draw a confusion matrix ``(C, C)`` with true classes in rows, as PNG; colors are shares of a row."""
    count = len(names)
    side = min(max(4.4, 0.42 * count), 13)
    figure, axes = _start(side + 0.8, side)
    totals = np.maximum(matrix.sum(1, keepdims=True), 1)
    axes.imshow(matrix / totals, cmap='Blues', vmin=0, vmax=1)
    axes.set(xlabel='predicted', ylabel='true')
    if count <= _NAMED_CELLS:
        size = 9 if count <= 30 else 6
        axes.set_xticks(range(count), map(_short, names), rotation=90, fontsize=size)
        axes.set_yticks(range(count), map(_short, names), fontsize=size)
    if count <= _NUMBERED_CELLS:
        for row, column in np.argwhere(matrix):
            color = 'white' if matrix[row, column] > 0.55 * totals[row, 0] else 'black'
            text = _number(int(matrix[row, column]))
            axes.text(column, row, text, ha='center', va='center', fontsize=8, color=color)
    return _save(figure, 'png')


def matrix_width(count: int) -> int:
    """Return the pixels of a screen that a matrix of so many classes needs."""
    return 0 if count <= 5 else min(180 + 36 * count, 1150)


def _number(value: float | None) -> str:
    """Return a number in at most five characters."""
    if value is None:
        return 'none'
    if isinstance(value, float):
        return f'{value:.3f}'
    for limit, unit in ((10**9, 'G'), (10**6, 'M'), (10**4, 'k')):
        if value >= limit:
            return f'{value / (limit if unit != "k" else 1000):.3g}{unit}'
    return str(value)


def _short(name: str) -> str:
    # The dollar would begin a formula.
    name = name.replace('$', r'\$')
    return name if len(name) <= _LONGEST_NAME or '\n' in name else f'{name[: _LONGEST_NAME - 1]}…'


def _start(width: float, height: float) -> tuple[Figure, Axes]:
    # Not pyplot's, which keeps figures for the whole process.
    figure = Figure(figsize=(width, height), layout='constrained')
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot()


def _save(figure: Figure, kind: str) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, dpi=130, metadata={'Date': None} if kind == 'svg' else None)
    return buffer.getvalue()
