"""Starting from a checkpoint of other classes: only what belongs to new classes starts anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from torch import Tensor

from ..utils.models import unwrapped_model


@dataclass
class Transfer:
    """What :func:`transfer_classes` did.

    Attributes:
        kept: Classes of the model that keep their weights.
        new: Classes of the model that start anew.
        tensors: Names of the tensors in which they do.
    """

    kept: list[str] = field(default_factory=list)
    new: list[str] = field(default_factory=list)
    tensors: list[str] = field(default_factory=list)

    def format(self) -> str:
        """Return the result as one line."""
        first = ', '.join(self.tensors[:4]) + (' …' if len(self.tensors) > 4 else '')
        return (
            f'{len(self.new)} classes start anew ({_shorten(self.new)}) in {len(self.tensors)} tensors ({first}); '
            f'{len(self.kept)} keep their weights ({_shorten(self.kept)}), and so does everything else'
        )


def _shorten(names: Sequence[str]) -> str:
    return ', '.join(names[:8]) + (' …' if len(names) > 8 else '') if names else 'none'


def transfer_classes(
    state: dict[str, Tensor], wanted: dict[str, Tensor], before: Sequence[str], now: Sequence[str]
) -> Transfer | None:
    """Fit the tensors of a checkpoint that depend on its classes to those of a model, in place.

    In these tensors the first dimension has one row for each class, in the predictor of a PicoDet followed by
    rows of the boxes. Rows of classes of the same name, and those of the boxes, are taken from the checkpoint; the
    others stay as they are in the model.

    Args:
        state: The checkpoint's tensors by name.
        wanted: The model's.
        before: Classes of the checkpoint.
        now: Classes of the model.

    Returns:
        What was done; None if the classes are the same, or nothing depends on them.
    """
    if list(before) == list(now):
        return None
    rows = [(now.index(name), before.index(name)) for name in now if name in before]
    result = Transfer([now[row] for row, _ in rows], [name for name in now if name not in before])
    for key, value in wanted.items():
        given = state.get(key)
        if given is None or not given.is_floating_point() or not _depends_on_classes(key, given, value, before, now):
            continue
        fitted = value.detach().clone().to(given)
        fitted[len(now) :] = given[len(before) :]
        for row, source in rows:
            fitted[row] = given[source]
        state[key] = fitted
        result.tensors.append(key)
    return result if result.tensors else None


def _depends_on_classes(key: str, given: Tensor, value: Tensor, before: Sequence[str], now: Sequence[str]) -> bool:
    """Return whether the first rows of a tensor belong to the classes."""
    if not given.ndim or given.shape[1:] != value.shape[1:] or len(given) < len(before):
        return False
    if len(given) - len(before) != len(value) - len(now):
        return False
    if len(before) != len(now):
        return len(given) != len(value)
    # As many classes of other names: only predictors are known by their names.
    return any(part in key for part in ('.predictors.', '.cls_predictors.', 'head.fc.', 'conv_seg.'))


@HOOKS.register_module()
class ClassTransferHook(Hook):
    """Fit a checkpoint of other classes to the model before a training starts from it.

    The classes of the checkpoint are those of its ``meta``, those of the model are those of the training data. A
    checkpoint that is resumed is not changed.
    """

    # Before the hook of the EMA, which copies what was loaded.
    priority = 'VERY_HIGH'

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Replace the tensors that depend on the classes, and say in the log which."""
        if runner._resume:
            return
        if report := fit_to_training_data(runner, checkpoint):
            print_log(f'{runner._load_from}: {report}', logger='current')


def fit_to_training_data(runner: Runner, checkpoint: dict[str, Any]) -> str:
    """Fit a checkpoint, in place, to the model of a runner and the classes of its training data.

    Returns:
        What was done in one line; empty where nothing was.
    """
    metainfo = getattr(runner.train_dataloader.dataset, 'metainfo', None) or {}
    return fit_checkpoint(checkpoint, unwrapped_model(runner).state_dict(), metainfo.get('classes'))


def fit_checkpoint(checkpoint: dict[str, Any], wanted: dict[str, Tensor], now: Sequence[str] | None) -> str:
    """Fit a checkpoint to the classes of a model, in place.

    Args:
        checkpoint: With ``state_dict`` and the classes in its ``meta``.
        wanted: The model's tensors by name.
        now: Classes of the model.

    Returns:
        What was done in one line; empty where nothing was.
    """
    before = ((checkpoint.get('meta') or {}).get('dataset_meta') or {}).get('classes')
    if not before or not now:
        return ''
    result = transfer_classes(checkpoint['state_dict'], wanted, list(before), list(now))
    return result.format() if result else ''
