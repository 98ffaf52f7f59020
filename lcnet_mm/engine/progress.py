"""What a run is doing, so that an error can say where it happened and what to do."""

from __future__ import annotations

import logging
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from ..utils.errors import UserError, describe_error, is_disk_full
from .nonfinite import last_checkpoint_text

# What an error of a library means here, and what to do: a pattern of its message, and what to say.
_HINTS = (
    (
        r'Expected more than 1 value per channel',
        'batch normalization cannot train on one value per channel: set train_dataloader.batch_size to at least 2 and, '
        'where the last batch of an epoch has one image, train_dataloader.drop_last=True',
    ),
    (
        r'DataLoader worker .*(exited unexpectedly|killed by signal|Bus error)',
        'a process that loads the data has died, which often means that memory ran out: use fewer workers '
        '(num_workers of the dataloader) or smaller batches, and resume',
    ),
    (
        r'out of memory|can.t allocate memory|Cannot allocate memory',
        'there is not enough memory: reduce the batch_size of the dataloader',
    ),
    (
        r'Connection (closed|reset) by peer|Broken pipe|NCCL|Socket (Timeout|closed)|ProcessGroup',
        'another process of the group has ended; its own message says why, and training can be resumed',
    ),
)


@HOOKS.register_module()
class ProgressHook(Hook):
    """Note what the run is doing at the moment, in :attr:`doing`.

    Attributes:
        doing: What an error message begins with.
        metrics: Names of the metrics of the last evaluation.
    """

    priority = 'HIGHEST'

    def __init__(self) -> None:
        self.doing = 'the optimizer and its schedule cannot be built'
        self.metrics: tuple[str, ...] = ()

    def before_run(self, runner: Runner) -> None:
        """Next come the initial weights and the checkpoint."""
        self.doing = 'the initial weights cannot be loaded'
        if runner._resume:
            self.doing = f'{runner._load_from or runner.work_dir} cannot be resumed'

    def before_train(self, runner: Runner) -> None:
        """Note that the first batch comes next."""
        self.doing = 'the training data cannot be loaded'

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Note the step."""
        self.doing = f'step {runner.iter + 1} of the training failed'

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: dict[str, Any] | None = None
    ) -> None:
        """Note that the step is over."""
        self.doing = f'the training failed after step {runner.iter + 1}'

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Note that a file is about to be written."""
        self.doing = 'the checkpoint cannot be saved'

    def after_train_epoch(self, runner: Runner) -> None:
        """Note that an epoch is over."""
        self.doing = f'the training failed after epoch {runner.epoch + 1}'

    def before_val_epoch(self, runner: Runner) -> None:
        """Note the evaluation."""
        self.doing = 'the evaluation on the validation data failed'

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Keep the names of the metrics, one of which the best checkpoint is chosen by."""
        self.metrics = tuple(metrics or ())
        self.doing = 'the training failed after the evaluation'

    def before_test_epoch(self, runner: Runner) -> None:
        """Note the evaluation."""
        self.doing = 'the evaluation on the test data failed'


@contextmanager
def one_line_errors(runner: Runner, progress: ProgressHook) -> Iterator[None]:
    """Turn every exception of a run into a :class:`UserError` that says what failed and what to do.

    The log file of the run gets the traceback.
    """
    try:
        with _stop_on_unwritten_logs(runner):
            yield
    except UserError as error:
        _log_traceback(runner, error)
        raise
    except Exception as error:
        log = _log_traceback(runner, error)
        raise UserError(_explain(runner, progress, error, log)) from error


def _explain(runner: Runner, progress: ProgressHook, error: Exception, log: str) -> str:
    if is_disk_full(error):
        file = getattr(error, 'filename', None) or f'a file in {runner.work_dir}'
        text = getattr(error, 'strerror', None) or 'No space left on device'
        return (
            f'{file} cannot be written: {text}; nothing that was complete is lost: {last_checkpoint_text(runner)}. '
            'Make room, and resume'
        )
    message = describe_error(error)
    missing = error.args[0] if isinstance(error, KeyError) and error.args else None
    if progress.metrics and isinstance(missing, str) and missing in _save_best(runner):
        return (
            f'default_hooks.checkpoint.save_best is {missing!r}, which the evaluation does not compute; its metrics '
            f'are {", ".join(progress.metrics)}'
        )
    hint = next((f'; {text}' for pattern, text in _HINTS if re.search(pattern, str(error), re.DOTALL)), '')
    saved = f'; {last_checkpoint_text(runner)}' if runner._train_loop is not None and runner.iter else ''
    return f'{progress.doing}: {message}{hint}{saved}{log}'


def _save_best(runner: Runner) -> list[str]:
    given: Any = ((runner.cfg.get('default_hooks') or {}).get('checkpoint') or {}).get('save_best') or []
    return [given] if isinstance(given, str) else list(given)


def _file_handlers(runner: Runner) -> list[logging.FileHandler]:
    return [handler for handler in runner.logger.handlers if isinstance(handler, logging.FileHandler)]


def _log_traceback(runner: Runner, error: BaseException) -> str:
    """Write a traceback to the log file, and return the part of a sentence that names it."""
    text = ''.join(traceback.format_exception(error))
    record = logging.LogRecord(runner.logger.name, logging.ERROR, __file__, 0, text, None, None)
    for handler in _file_handlers(runner):
        try:
            handler.emit(record)
        except OSError:
            return ''
        return f' (the traceback is in {handler.baseFilename})'
    return ''


@contextmanager
def _stop_on_unwritten_logs(runner: Runner) -> Iterator[None]:
    """Let an error of writing the log stop the run; logging prints its traceback and goes on."""

    def stop(handler: logging.FileHandler) -> NoReturn:
        error = sys.exc_info()[1]
        if isinstance(error, OSError):
            raise OSError(error.errno, error.strerror, handler.baseFilename) from error
        raise error if error is not None else RuntimeError('the log cannot be written')

    handlers = _file_handlers(runner)
    for handler in handlers:
        handler.handleError = lambda record, handler=handler: stop(handler)  # type: ignore[method-assign,misc]
    try:
        yield
    finally:
        for handler in handlers:
            del handler.handleError
