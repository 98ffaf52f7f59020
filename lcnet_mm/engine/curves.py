"""The curves of a training: losses, learning rate and metrics, as an image in the work dir."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import EpochBasedTrainLoop, Runner

from ..utils.errors import describe_error
from ..utils.files import atomic_path

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FILE = 'curves.png'
# Where the message hub, which every checkpoint contains, has the place of each evaluation.
_PLACES = 'evaluated_at'
# A curve is drawn with the mean values of as many parts of the training.
_POINTS = 400


@HOOKS.register_module()
class CurvesHook(Hook):
    """Draw ``curves.png`` in the work dir after each evaluation and at the end of the training.

    The values are those that mmengine keeps in every checkpoint, so that a resumed training has the whole curves.
    """

    # After the hook of the checkpoints, which notes the best result.
    priority = 'LOWEST'

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Note the place of the evaluation, and draw."""
        # Where nothing is detected yet, CocoMetric has no results.
        if metrics:
            place = runner.epoch if isinstance(runner.train_loop, EpochBasedTrainLoop) else runner.iter
            runner.message_hub.update_info(_PLACES, [*runner.message_hub.runtime_info.get(_PLACES, []), place])
        self._draw(runner)

    def after_train(self, runner: Runner) -> None:
        """Draw the steps since the last evaluation too."""
        self._draw(runner)

    def _draw(self, runner: Runner) -> None:
        if not is_main_process() or getattr(self, '_drawn', -1) == runner.iter:
            return
        self._drawn = runner.iter
        try:
            with atomic_path(Path(runner.work_dir, FILE)) as partial:
                draw_curves(runner).savefig(partial, format='png')
        # No image is worth the training.
        except Exception as error:
            runner.logger.warning(f'{FILE} cannot be drawn: {describe_error(error)}')


def draw_curves(runner: Runner) -> Figure:
    """Draw the losses, the learning rate and the metrics of a run over its epochs, or over its iterations."""
    # Takes half a second, which is not needed before something is drawn.
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    scalars = {name: np.asarray(buffer.data[0]) for name, buffer in runner.message_hub.log_scalars.items()}
    by_epoch = isinstance(runner.train_loop, EpochBasedTrainLoop)
    length = len(runner.train_dataloader) if by_epoch else 1
    figure = Figure(figsize=(8, 9), dpi=100, layout='constrained')
    losses, rates, metrics = figure.subplots(3, sharex=True)

    names = [name for name in scalars if name.startswith('train/') and 'loss' in name]
    for name in sorted(names, key=lambda name: name != 'train/loss'):
        whole = name == 'train/loss'
        values = scalars[name]
        _draw_steps(losses, values, runner.iter, length, name.removeprefix('train/'), linewidth=2 if whole else 1)
    losses.set_ylabel('loss')

    for name in ('train/lr', 'train/base_lr'):
        if name in scalars:
            _draw_steps(rates, scalars[name], runner.iter, length, name.removeprefix('train/'))
            break
    rates.set_ylabel('learning rate')

    _draw_metrics(metrics, runner, scalars)
    metrics.set_ylabel('metrics of the validation data')
    metrics.set_xlabel('epoch' if by_epoch else 'iteration')
    metrics.xaxis.set_major_locator(MaxNLocator(integer=True))
    for axes in (losses, rates, metrics):
        axes.grid(alpha=0.3)
        if axes.get_legend_handles_labels()[1]:
            axes.legend(fontsize='small')
    losses.set_title(Path(runner.work_dir).name)
    return figure


def _draw_steps(axes: Axes, values: np.ndarray, last: int, length: int, label: str, **style: Any) -> None:
    """Draw a value of every step, in the mean of parts where there are many.

    Args:
        axes: Where to draw.
        values: ``(N,)``, the last of which belongs to step ``last``.
        last: Number of steps so far.
        length: Steps per unit of the axis.
        label: For the legend.
        style: Of the line.
    """
    parts = np.array_split(np.arange(len(values)), min(len(values), _POINTS))
    # The end of each part, as the evaluations are after the epochs that they are named by.
    x = [(last - len(values) + part[-1] + 1) / length for part in parts]
    axes.plot(x, [values[part].mean() for part in parts], label=label, **style)


def _draw_metrics(axes: Axes, runner: Runner, scalars: dict[str, np.ndarray]) -> None:
    places = runner.message_hub.runtime_info.get(_PLACES, [])
    decisive = ((runner.cfg.get('default_hooks') or {}).get('checkpoint') or {}).get('save_best') or []
    for name, values in scalars.items():
        short = name.removeprefix('val/')
        if short == name or short in ('time', 'data_time'):
            continue
        # Older evaluations of a resumed training may have no place. COCO gives -1 for sizes that do not occur.
        count = min(len(values), len(places))
        shown = np.where(values[len(values) - count :] < 0, np.nan, values[len(values) - count :])
        if np.isfinite(shown).any():
            important = short in ([decisive] if isinstance(decisive, str) else decisive)
            axes.plot(places[len(places) - count :], shown, marker='.', label=short, linewidth=2.5 if important else 1)
            if important:
                best: Any = runner.message_hub.runtime_info.get('best_score')
                for index in np.flatnonzero(values[len(values) - count :] == best)[:1]:
                    axes.plot(places[len(places) - count + index], best, 'k*', markersize=12, label=f'best: {best:.4g}')
