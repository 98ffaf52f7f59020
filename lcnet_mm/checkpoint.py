"""Checkpoints that survive a kill: written beside their place and renamed."""

from __future__ import annotations

import os
from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend


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
