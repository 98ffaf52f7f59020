"""Checkpoints read without running code from them, and loaded into the model that they were made for."""

from __future__ import annotations

import codecs
import os
import pickle
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from numpy._core import multiarray
from torch import Tensor, nn

from .errors import UserError


def _history_method(owner: object, name: str) -> Any:
    """Return a statistic of the logger's history, the only use of getattr in mmengine's checkpoints."""
    if owner is not HistoryBuffer or name not in ('current', 'data', 'max', 'mean', 'min'):
        raise pickle.UnpicklingError(f'getattr of {name}')
    return getattr(HistoryBuffer, name)


# NumPy's pickles name the class of a dtype where it has one of its own.
_DTYPES = {type(np.dtype(name)) for name in ('float64', 'float32', 'float16', 'int64', 'int32', 'uint8', 'bool')}

# Unpickling calls whatever a file names, so only these are called.
ALLOWED_GLOBALS: dict[tuple[str, str], Any] = {
    ('collections', 'OrderedDict'): OrderedDict,
    ('torch._utils', '_rebuild_tensor_v2'): torch._utils._rebuild_tensor_v2,
    ('torch._utils', '_rebuild_parameter'): torch._utils._rebuild_parameter,
    ('torch', 'Size'): torch.Size,
    # How protocol 2 writes bytes.
    ('_codecs', 'encode'): codecs.encode,
    ('numpy', 'ndarray'): np.ndarray,
    ('numpy', 'dtype'): np.dtype,
    **{('numpy.dtypes', dtype.__name__): dtype for dtype in _DTYPES},
    **{
        (f'numpy.{core}.multiarray', name): getattr(multiarray, name)
        for core in ('core', '_core')
        for name in ('_reconstruct', 'scalar')
    },
    ('mmengine.logging.history_buffer', 'HistoryBuffer'): HistoryBuffer,
    ('builtins', 'getattr'): _history_method,
    ('__builtin__', 'getattr'): _history_method,
}


def _restricted_pickle(also: Callable[[str, str], Any] | None) -> SimpleNamespace:
    """Return what torch.load needs of a pickle module, with an unpickler that finds what is allowed."""

    class RestrictedUnpickler(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> Any:
            if (module, name) in ALLOWED_GLOBALS:
                return ALLOWED_GLOBALS[module, name]
            found = also(module, name) if also is not None else None
            if found is None:
                raise pickle.UnpicklingError(f'{module}.{name}')
            return found

    return SimpleNamespace(
        __name__='restricted_pickle',
        Unpickler=RestrictedUnpickler,
        load=lambda file, **kwargs: RestrictedUnpickler(file, **kwargs).load(),
    )


def load_restricted(
    filename: str | Path, map_location: Any = None, also: Callable[[str, str], Any] | None = None
) -> Any:
    """Read what ``torch.save`` or mmengine wrote, without running code from it.

    Args:
        filename: A local file.
        map_location: As for ``torch.load``.
        also: Finds more of what a file may name, from the module and the name; returns None for what it may not.

    Raises:
        FileNotFoundError: the file does not exist.
        pickle.UnpicklingError: the file names something that is neither a weight nor mmengine's own.
    """
    path = os.path.expanduser(filename)
    if not os.path.isfile(path):
        raise FileNotFoundError(f'{filename} can not be found.')
    return torch.load(path, map_location=map_location, weights_only=False, pickle_module=_restricted_pickle(also))


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Read a checkpoint without running code from it.

    Args:
        path: A file written by mmengine or ``torch.save``.

    Returns:
        The checkpoint with its ``state_dict``; a bare state dict is put into one.

    Raises:
        UserError: the file is missing, truncated, holds objects that are not weights, or no weights at all.
    """
    if not Path(path).is_file():
        raise UserError(f'checkpoint {path} does not exist')
    try:
        checkpoint = load_restricted(path, map_location='cpu')
    except pickle.UnpicklingError as error:
        raise UserError(
            f'checkpoint {path} is refused: it is not a PyTorch file, or it holds more than weights ({error})'
        ) from error
    # A damaged file can make the unpickler call anything that is allowed with anything.
    except Exception as error:
        raise UserError(f'checkpoint {path} is truncated or not a PyTorch file; make or copy it again') from error
    if not isinstance(checkpoint, dict):
        raise UserError(f'checkpoint {path} holds a {type(checkpoint).__name__}, expected a dict with a state_dict')
    checkpoint = checkpoint if 'state_dict' in checkpoint else dict(state_dict=checkpoint, meta={})
    state = checkpoint['state_dict']
    if not isinstance(state, dict) or not state or not all(isinstance(key, str) for key in state):
        raise UserError(
            f'checkpoint {path} holds no weights: its state_dict is not a dict of tensors by name, or is empty'
        )
    if not isinstance(checkpoint.get('meta') or {}, dict):
        raise UserError(
            f'checkpoint {path} is damaged: its meta is a {type(checkpoint["meta"]).__name__}, expected a dict'
        )
    return checkpoint


def load_weights(model: nn.Module, path: str | Path) -> dict[str, Any]:
    """Load a checkpoint into a model and insist that every tensor has its place.

    Args:
        model: The model.
        path: The checkpoint.

    Returns:
        The checkpoint's ``meta``.

    Raises:
        UserError: as :func:`read_checkpoint`, or a tensor is missing, superfluous or of another shape.
    """
    checkpoint = read_checkpoint(path)
    misfits = find_misfits(model.state_dict(), checkpoint['state_dict'])
    if misfits:
        raise UserError(f'checkpoint {path} was made for another model: {"; ".join(misfits)}')
    model.load_state_dict(checkpoint['state_dict'], strict=False)
    return checkpoint.get('meta') or {}


class TensorDifferences(NamedTuple):
    """How the tensors of a checkpoint differ from those of a model, by their names."""

    missing: list[str]
    unknown: list[str]
    reshaped: list[str]


def compare_tensors(wanted: Mapping[str, Tensor], state: Mapping[str, Any]) -> TensorDifferences:
    """Compare the tensors of a model with those of a checkpoint, both by name."""
    return TensorDifferences(
        # Converted weights have no counters, and BN works without them.
        [key for key in wanted if key not in state and not key.endswith('num_batches_tracked')],
        [key for key in state if key not in wanted],
        [key for key in state if key in wanted and _shape(state[key]) != _shape(wanted[key])],
    )


def _shape(value: Any) -> tuple[int, ...]:
    return tuple(getattr(value, 'shape', ()))


def find_misfits(wanted: Mapping[str, Tensor], state: Mapping[str, Any], *, allow_more: bool = False) -> list[str]:
    """Say what of a checkpoint does not fit a model.

    Args:
        wanted: The model's tensors by name.
        state: The checkpoint's.
        allow_more: Whether the checkpoint may have tensors that the model does not have.

    Returns:
        One part of a sentence for each kind of misfit; empty if everything fits.
    """
    missing, unknown, reshaped = compare_tensors(wanted, state)
    problems = []
    if reshaped:
        key = reshaped[0]
        problems.append(
            f'{_tensors(len(reshaped))} {"has" if len(reshaped) == 1 else "have"} another shape (first: {key} is '
            f'{_shape(state[key])}, the model has {_shape(wanted[key])})'
        )
    for keys, one, many in (
        (missing, 'is missing', 'are missing'),
        ([] if allow_more else unknown, 'is unknown to the model', 'are unknown to the model'),
    ):
        if keys:
            problems.append(f'{_tensors(len(keys))} {one if len(keys) == 1 else many} (first: {keys[0]})')
    return problems


def _tensors(count: int) -> str:
    return f'{count} tensor' if count == 1 else f'{count} tensors'


def strip_prefix(state: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Return the part of a state dict below a prefix, without it; a point at the end of the prefix may be left out."""
    prefix = prefix if prefix.endswith('.') else f'{prefix}.'
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
