"""Reading a checkpoint into the model that it was made for, or saying why not."""

from __future__ import annotations

import codecs
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from numpy._core import multiarray
from torch import Tensor, nn

from ..errors import UserError


class _Ignored:
    """Stands for objects that mmengine puts beside the weights (the history of its logger); they are not read."""

    def __init__(self, *_: object) -> None:
        pass

    def __setstate__(self, _: object) -> None:
        pass


# Unpickling calls whatever a file names, so only these are called. The logger's history names its methods by getattr.
ALLOWED_GLOBALS = {
    ('collections', 'OrderedDict'): OrderedDict,
    ('torch._utils', '_rebuild_tensor_v2'): torch._utils._rebuild_tensor_v2,
    ('torch._utils', '_rebuild_parameter'): torch._utils._rebuild_parameter,
    ('torch', 'Size'): torch.Size,
    # How protocol 2 writes bytes.
    ('_codecs', 'encode'): codecs.encode,
    ('numpy', 'ndarray'): np.ndarray,
    ('numpy', 'dtype'): np.dtype,
    **{
        (f'numpy.{core}.multiarray', name): getattr(multiarray, name)
        for core in ('core', '_core')
        for name in ('_reconstruct', 'scalar')
    },
    ('mmengine.logging.history_buffer', 'HistoryBuffer'): _Ignored,
    ('builtins', 'getattr'): _Ignored,
    ('__builtin__', 'getattr'): _Ignored,
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
        checkpoint = torch.load(path, map_location='cpu', weights_only=False, pickle_module=_RESTRICTED_PICKLE)
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
