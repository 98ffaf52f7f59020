"""Checkpoints that survive a kill, and that are read without running code from them.

Importing this module registers both with mmengine: a file backend for configs to name, and the loader of local
checkpoints. The loader is needed beside being safer: since PyTorch 2.6 ``torch.load`` refuses the logger's history that
mmengine puts into every checkpoint, so that with mmengine 0.10 no training can be resumed.
"""

from __future__ import annotations

import codecs
import os
import pickle
from collections import OrderedDict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from mmengine.fileio import LocalBackend, register_backend
from mmengine.logging import HistoryBuffer
from mmengine.runner import CheckpointLoader
from numpy._core import multiarray


@register_backend('atomic_local', force=True)
class AtomicLocalBackend(LocalBackend):
    """mmengine's local file backend, but a file appears under its name only when it is complete.

    mmengine writes checkpoints straight to their final path, so a kill while saving leaves a truncated file that the
    next ``--resume`` stumbles over. Use it as ``checkpoint=dict(type='CheckpointHook',
    backend_args=dict(backend='atomic_local'))``.
    """

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write bytes to ``filepath`` through a temporary file in the same folder."""
        target = Path(filepath)
        partial = target.with_name(f'.{target.name}.{os.getpid()}.partial')
        try:
            super().put(obj, partial)
            os.replace(partial, target)
        finally:
            partial.unlink(missing_ok=True)


def _history_method(owner: object, name: str) -> Any:
    """The only use of getattr in mmengine's checkpoints: the statistics of its logger's history."""
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


@CheckpointLoader.register_scheme(prefixes='', force=True)
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
