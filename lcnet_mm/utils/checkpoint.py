"""Checkpoints read without running code from them, and loaded into the model that they were made for."""

from __future__ import annotations

import codecs
import os
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

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


class _RestrictedUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED_GLOBALS:
            raise pickle.UnpicklingError(f'{module}.{name}')
        return ALLOWED_GLOBALS[module, name]


# What torch.load needs of a pickle module.
_RESTRICTED_PICKLE = SimpleNamespace(
    __name__='restricted_pickle',
    Unpickler=_RestrictedUnpickler,
    load=lambda file, **kwargs: _RestrictedUnpickler(file, **kwargs).load(),
)


def load_restricted(filename: str | Path, map_location: Any = None) -> Any:
    """Read what ``torch.save`` or mmengine wrote, without running code from it.

    Args:
        filename: A local file.
        map_location: As for ``torch.load``.

    Raises:
        FileNotFoundError: the file does not exist.
        pickle.UnpicklingError: the file names something that is neither a weight nor mmengine's own.
    """
    path = os.path.expanduser(filename)
    if not os.path.isfile(path):
        raise FileNotFoundError(f'{filename} can not be found.')
    return torch.load(path, map_location=map_location, weights_only=False, pickle_module=_RESTRICTED_PICKLE)


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Read a checkpoint without running code from it.

    Args:
        path: A file written by mmengine or ``torch.save``.

    Returns:
        The checkpoint with its ``state_dict``; a bare state dict is put into one.

    Raises:
        UserError: the file is missing, truncated, or holds objects that are not weights.
    """
    if not Path(path).is_file():
        raise UserError(f'checkpoint {path} does not exist')
    try:
        checkpoint = load_restricted(path, map_location='cpu')
    except pickle.UnpicklingError as error:
        raise UserError(
            f'checkpoint {path} is refused: it is no PyTorch file, or it holds more than weights ({error})'
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise UserError(f'checkpoint {path} is truncated or no PyTorch file; make or copy it again') from error
    if not isinstance(checkpoint, dict):
        raise UserError(f'checkpoint {path} holds a {type(checkpoint).__name__}, expected a dict with a state_dict')
    return checkpoint if 'state_dict' in checkpoint else dict(state_dict=checkpoint, meta={})


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
    state: dict[str, Tensor] = checkpoint['state_dict']
    wanted = model.state_dict()
    # Converted weights have no counters, and BN works without them.
    missing = [key for key in wanted if key not in state and not key.endswith('num_batches_tracked')]
    superfluous = [key for key in state if key not in wanted]
    reshaped = [key for key in state if key in wanted and state[key].shape != wanted[key].shape]
    problems = []
    if reshaped:
        key = reshaped[0]
        problems.append(
            f'{len(reshaped)} tensors have another shape (first: {key} is {tuple(state[key].shape)}, '
            f'the model has {tuple(wanted[key].shape)})'
        )
    for keys, what in ((missing, 'are missing'), (superfluous, 'are unknown to the model')):
        if keys:
            problems.append(f'{len(keys)} tensors {what} (first: {keys[0]})')
    if problems:
        raise UserError(f'checkpoint {path} was made for another model: {"; ".join(problems)}')
    model.load_state_dict(state, strict=False)
    return checkpoint.get('meta') or {}
