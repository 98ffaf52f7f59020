"""Checkpoints that survive a kill, and a loader of local checkpoints that runs no code from them.

Importing this module registers both with mmengine, for the whole process: a file backend for configs to name, and the
loader of local checkpoints. mmengine 0.10 needs such a loader to resume at all under PyTorch 2.6 and later, whose
``torch.load`` refuses the logger's history that mmengine puts into every checkpoint.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmengine.fileio import LocalBackend, register_backend
from mmengine.runner import CheckpointLoader

from ..utils.checkpoint import load_restricted
from ..utils.files import atomic_path


@register_backend('atomic_local', force=True)
class AtomicLocalBackend(LocalBackend):
    """mmengine's local file backend, but a file appears under its name only when it is complete.

    mmengine writes checkpoints straight to their final path, so a kill while saving leaves a truncated file that the
    next ``--resume`` stumbles over. Use it as ``checkpoint=dict(type='CheckpointHook',
    backend_args=dict(backend='atomic_local'))``.
    """

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write bytes to ``filepath`` through a temporary file in the same folder.

        Raises:
            OSError: it cannot be written; the error names ``filepath``, and an older file of that name is whole.
        """
        try:
            with atomic_path(filepath) as partial:
                super().put(obj, partial)
        except OSError as error:
            # An error while writing does not name the file, and the temporary file would tell the user nothing.
            raise OSError(error.errno, error.strerror or str(error), str(filepath)) from error


@CheckpointLoader.register_scheme(prefixes='', force=True)  # type: ignore[untyped-decorator]
def load_from_restricted_local(filename: str | Path, map_location: Any = None) -> Any:
    """Read a local checkpoint for mmengine, whose log names the backend after the middle of this function's name."""
    return load_restricted(filename, map_location)
