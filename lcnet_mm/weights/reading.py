"""Read the weight files of other projects without running code from them."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..utils.checkpoint import ALLOWED_GLOBALS, read_checkpoint
from ..utils.errors import UserError

# Of the globals that a checkpoint may name, those of NumPy and the codec of bytes.
_ARRAY_GLOBALS = {key: value for key, value in ALLOWED_GLOBALS.items() if key[0].startswith(('numpy', '_codecs'))}
_SUFFIXES = ('.pdparams', '.pth', '.pt', '.bin', '.safetensors')


class _NumpyUnpickler(pickle.Unpickler):
    """Builds NumPy arrays and plain containers, and refuses everything else."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ARRAY_GLOBALS:
            raise pickle.UnpicklingError(f'it names {module}.{name}')
        return _ARRAY_GLOBALS[module, name]


def read_tensors(path: str | Path) -> dict[str, Tensor]:
    """Read a file of named tensors.

    Args:
        path: ``.pdparams`` of PaddlePaddle, ``.pth``, ``.pt`` or ``.bin`` of PyTorch, or ``.safetensors``.

    Returns:
        The tensors under their names in the file.

    Raises:
        UserError: the file is missing, truncated or of another format, or holds more than arrays, or a value is not
            finite.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f'{path} does not exist')
    if path.suffix == '.pdparams':
        tensors = _read_paddle(path)
    elif path.suffix == '.safetensors':
        tensors = _read_safetensors(path)
    elif path.suffix in _SUFFIXES:
        tensors = {key: value for key, value in read_checkpoint(path)['state_dict'].items() if torch.is_tensor(value)}
    else:
        raise UserError(f'{path} must end with one of {", ".join(_SUFFIXES)}')
    if not tensors:
        raise UserError(f'{path} holds no tensors')
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise UserError(f'{path}: tensor {name} has NaN or infinite values; download or train it again')
    return tensors


def _read_paddle(path: Path) -> dict[str, Tensor]:
    try:
        with path.open('rb') as file:
            content = _NumpyUnpickler(file).load()
    except pickle.UnpicklingError as error:
        raise UserError(f'{path} is refused: only arrays are read from a pickle ({error})') from error
    except (EOFError, ValueError, IndexError, KeyError, TypeError, AttributeError, MemoryError) as error:
        raise UserError(f'{path} is truncated or not a file of Paddle; copy it again') from error
    if not isinstance(content, dict):
        raise UserError(f'{path} holds a {type(content).__name__}, expected a dictionary of arrays')
    # The bookkeeping entry of Paddle's state dicts is a dictionary, not an array.
    arrays = {key: value for key, value in content.items() if isinstance(value, np.ndarray)}
    return {key: torch.from_numpy(np.ascontiguousarray(value)) for key, value in arrays.items()}


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise UserError(f'{path} is truncated or not a safetensors file; copy it again') from error
