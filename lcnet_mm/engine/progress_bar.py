"""A progress bar of a training on a terminal."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop, Runner
from tqdm import tqdm
from tqdm.contrib import DummyTqdmFile

# Steps over which the loss is averaged, as in the lines of the log.
_WINDOW = 50


class ProgressBarHook(Hook):
    """Show the steps, the time left, and the latest loss, learning rate and metric, if standard error is a terminal.

    The lines of the steps are then left out on the terminal, and other lines of the log are written above the bar. The
    log file has all lines. Without a terminal nothing changes. The time left counts the evaluations so far.
    """

    priority = 'VERY_LOW'

    def __init__(self) -> None:
        self._on_terminal = False
        self._bar: tqdm[Any] | None = None
        self._val_bar: tqdm[Any] | None = None
        self._metric = ''

    @contextmanager
    def showing(self, runner: Runner) -> Iterator[None]:
        """Show the bar inside."""
        if not (is_main_process() and sys.stderr.isatty()):
            yield
            return
        consoles = [
            handler
            for handler in runner.logger.handlers
            if isinstance(handler, logging.StreamHandler) and handler.stream.isatty()
        ]
        streams = [handler.stream for handler in consoles]
        for handler in consoles:
            handler.addFilter(_is_no_step)
            handler.setStream(DummyTqdmFile(handler.stream))
        self._on_terminal = True
        try:
            yield
        finally:
            for bar in (self._val_bar, self._bar):
                if bar is not None:
                    bar.close()
            self._bar, self._val_bar, self._on_terminal = None, None, False
            for handler, stream in zip(consoles, streams, strict=True):
                handler.removeFilter(_is_no_step)
                handler.setStream(stream)

    def before_train(self, runner: Runner) -> None:
        """Begin where the training does, which is not always step 1."""
        if self._on_terminal:
            # The mean speed from the beginning, which contains the evaluations.
            self._bar = tqdm(total=runner.max_iters, initial=runner.iter, unit='step', smoothing=0, dynamic_ncols=True)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: dict[str, Any] | None = None
    ) -> None:
        """Move on by a step."""
        if self._bar is None:
            return
        if isinstance(runner.train_loop, EpochBasedTrainLoop):
            self._bar.set_description_str(f'epoch {runner.epoch + 1}/{runner.max_epochs}', refresh=False)
        scalars = runner.message_hub.log_scalars
        latest = []
        if 'train/loss' in scalars:
            latest.append(f'loss {scalars["train/loss"].mean(_WINDOW):.4g}')
        if 'train/lr' in scalars:
            latest.append(f'lr {scalars["train/lr"].current():.4g}')
        self._bar.set_postfix_str(', '.join([*latest, self._metric] if self._metric else latest), refresh=False)
        self._bar.update()

    def before_val_epoch(self, runner: Runner) -> None:
        """Show the batches of the evaluation."""
        if self._bar is not None:
            # Evaluations print their results, which would follow on the line of the bar.
            self._bar.clear()
            self._val_bar = tqdm(
                total=len(runner.val_dataloader), desc='evaluation', unit='batch', leave=False, dynamic_ncols=True
            )

    def after_val_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Sequence[Any] | None = None
    ) -> None:
        """Move on by a batch."""
        if self._val_bar is not None:
            self._val_bar.update()
            if batch_idx + 1 == len(runner.val_dataloader):
                self._val_bar.close()
                self._val_bar = None

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Keep the metric that decides on the best checkpoint, or the first."""
        best = ((runner.cfg.get('default_hooks') or {}).get('checkpoint') or {}).get('save_best')
        names = [best] if isinstance(best, str) else best or []
        for name in [*names, *(metrics or {})]:
            if metrics and isinstance(metrics.get(name), int | float):
                self._metric = f'{name} {metrics[name]:.4g}'
                break


def _is_no_step(record: logging.LogRecord) -> bool:
    """Return whether a line of the log is not one of the steps of a training or an evaluation."""
    return not (record.module == 'logger_hook' and record.funcName in ('after_train_iter', 'after_val_iter'))
