"""Saving checkpoints without losing the last ones."""

from __future__ import annotations

import os.path
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mmengine.config import Config
from mmengine.hooks import CheckpointHook
from mmengine.registry import HOOKS
from mmengine.runner import Runner


class _LaterRemovals:
    """A file backend that notes what is to be removed instead of removing it."""

    def __init__(self, backend: Any) -> None:
        self.backend = backend
        self.removals: list[tuple[str, str]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.backend, name)

    def remove(self, path: str) -> None:
        """Note a file."""
        self.removals.append(('remove', path))

    def rmtree(self, path: str) -> None:
        """Note a folder."""
        self.removals.append(('rmtree', path))


@HOOKS.register_module()
class KeepingCheckpointHook(CheckpointHook):
    """mmengine's ``CheckpointHook``, but an old checkpoint is removed only after the new one is complete.

    mmengine removes the oldest checkpoint, and the previous best one, before it writes the next: when the disk is full,
    or the process is killed meanwhile, both are gone. This hook needs room for one checkpoint more. By default it
    writes through the backend ``atomic_local``, so that a file has its name only when it is complete.
    Only files in its own folder are removed.

    Args:
        interval: As for ``CheckpointHook``.
        backend_args: As for ``CheckpointHook``.
        kwargs: As for ``CheckpointHook``.
    """

    def __init__(self, interval: int = -1, backend_args: dict[str, Any] | None = None, **kwargs: Any) -> None:
        if backend_args is None and not kwargs.get('file_client_args') and '://' not in str(kwargs.get('out_dir')):
            backend_args = dict(backend='atomic_local')
        super().__init__(interval=interval, backend_args=backend_args, **kwargs)

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict[str, Any]) -> None:
        with self._removing_later():
            super()._save_checkpoint_with_step(runner, step, meta)  # type: ignore[no-untyped-call]

    def _save_best_checkpoint(self, runner: Runner, metrics: dict[str, Any]) -> None:
        with self._removing_later():
            super()._save_best_checkpoint(runner, metrics)

    @contextmanager
    def _removing_later(self) -> Iterator[None]:
        """Remove what is removed inside at the end, unless an exception says that something was not written."""
        if isinstance(self.file_backend, _LaterRemovals):
            yield
            return
        later = self.file_backend = _LaterRemovals(self.file_backend)
        try:
            yield
        finally:
            self.file_backend = later.backend
        written = {self.last_ckpt, getattr(self, 'best_ckpt_path', None)}
        written.update(getattr(self, 'best_ckpt_path_dict', {}).values())
        for method, path in later.removals:
            # A work dir that was copied still names the best checkpoint of the one that it was copied from.
            if path not in written and os.path.dirname(path) == str(self.out_dir):
                getattr(self.file_backend, method)(path)


def use_keeping_checkpoints(cfg: Config) -> None:
    """Let a training save through :class:`KeepingCheckpointHook`, unless its config names another hook of its own."""
    hooks = cfg.setdefault('default_hooks', {})
    if 'checkpoint' not in hooks:
        hooks['checkpoint'] = dict(type='KeepingCheckpointHook', interval=1)
    elif hooks['checkpoint'] is not None and hooks['checkpoint'].get('type') == 'CheckpointHook':
        hooks['checkpoint']['type'] = 'KeepingCheckpointHook'
