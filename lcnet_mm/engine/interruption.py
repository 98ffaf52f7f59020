"""Ctrl-C: finish the batch, save a checkpoint, and go on in the middle of the epoch when the training is resumed."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from mmengine.dist import all_reduce, get_rank, get_world_size, is_main_process
from mmengine.hooks import CheckpointHook, EMAHook, Hook
from mmengine.registry import LOOPS
from mmengine.runner import EpochBasedTrainLoop, Runner

from ..utils.files import write_atomically

# Where the message hub, which every checkpoint contains, has the epoch, the batches that are done, and the length.
_PLACE = 'interrupted_epoch'
# torchrun passes the Ctrl-C of the terminal on to processes that have had it already.
_SAME_KEY_SECONDS = 1.0
_NOTICE = b'\nFinishing the batch and saving a checkpoint; Ctrl-C again ends at once.\n'


class TrainingInterrupted(KeyboardInterrupt):
    """A training was interrupted, and its state is saved.

    Attributes:
        checkpoint: The checkpoint to resume.
    """

    def __init__(self, step: int, checkpoint: str) -> None:
        super().__init__(f'interrupted after step {step}; {checkpoint} has the state, and the training can be resumed')
        self.checkpoint = checkpoint


class InterruptHook(Hook):
    """Stop after the batch at which Ctrl-C (SIGINT) arrives, with a checkpoint that can be resumed.

    A second Ctrl-C ends at once. Of several processes, all stop after the same batch, whichever got the signal. During
    an evaluation nothing is saved if the training steps before it are in a checkpoint already.
    """

    # After everything else that belongs to the step.
    priority = 'LOWEST'

    def __init__(self) -> None:
        self._asked_at: float | None = None
        self._saved = -1

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Catch SIGINT inside, unless it is ignored, or somebody else's, or this is not the main thread."""
        own = signal.getsignal(signal.SIGINT) is signal.default_int_handler
        if not own or threading.current_thread() is not threading.main_thread():
            yield
            return
        self._process = os.getpid()
        signal.signal(signal.SIGINT, self._on_signal)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        # The data loader's workers inherit the handler, and the terminal signals them too.
        if os.getpid() != self._process:
            return
        now = time.monotonic()
        if self._asked_at is None:
            self._asked_at = now
            if is_main_process():
                # The logger may be writing at this moment.
                os.write(2, _NOTICE)
        elif 'TORCHELASTIC_RUN_ID' not in os.environ or now - self._asked_at > _SAME_KEY_SECONDS:
            raise KeyboardInterrupt

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Note which steps are in a checkpoint that can be resumed."""
        if 'optimizer' in checkpoint:
            self._saved = checkpoint['meta']['iter']

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: dict[str, Any] | None = None
    ) -> None:
        """Save and stop if it was asked for.

        Raises:
            TrainingInterrupted: it was.
        """
        if self._asked():
            if isinstance(runner.train_loop, EpochBasedTrainLoop):
                place = [runner.epoch, batch_idx + 1, len(runner.train_dataloader)]
                runner.message_hub.update_info(_PLACE, place)
            raise TrainingInterrupted(runner.iter + 1, self._save(runner, runner.iter + 1))

    def after_val_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Sequence[Any] | None = None
    ) -> None:
        """Stop if it was asked for, and save what is not saved yet.

        Raises:
            TrainingInterrupted: it was.
        """
        if self._asked():
            for hook in runner.hooks:
                if isinstance(hook, EMAHook):
                    # The evaluated average takes the place of the weights until the evaluation is over.
                    hook.after_val_epoch(runner)
            raise TrainingInterrupted(runner.iter, self._save(runner, runner.iter))

    def _asked(self) -> bool:
        """Return whether any process of the group was asked to stop."""
        if get_world_size() == 1:
            return self._asked_at is not None
        asked = torch.tensor([float(self._asked_at is not None)])
        all_reduce(asked, op='max')
        return bool(asked)

    def _save(self, runner: Runner, step: int) -> str:
        """Save a checkpoint after a step unless there is one; return its path."""
        last = runner.message_hub.get_info('last_ckpt') if 'last_ckpt' in runner.message_hub.runtime_info else None
        if self._saved == step and last is not None:
            return str(last)
        hooks = [hook for hook in runner.hooks if isinstance(hook, CheckpointHook)]
        folder = str(hooks[0].out_dir if hooks else runner.work_dir)
        name = f'iter_{step}.pth'
        path = str(Path(folder, name))
        runner.message_hub.update_info('last_ckpt', path)
        runner.save_checkpoint(
            folder,
            name,
            meta=dict(epoch=runner.epoch, iter=step),
            by_epoch=False,
            backend_args=hooks[0].backend_args if hooks else dict(backend='atomic_local'),
        )
        if get_rank() == 0:
            write_atomically(Path(runner.work_dir, 'last_checkpoint'), path)
        return path


@LOOPS.register_module()
class ResumableEpochLoop(EpochBasedTrainLoop):
    """mmengine's loop of epochs, which goes on in the middle of one after an interruption.

    The batches that are done are read and left out, as mmengine's loop of iterations does it.
    """

    def run_epoch(self) -> None:
        """Train the epoch, or the rest of it."""
        epoch, done, length = self.runner.message_hub.runtime_info.pop(_PLACE, None) or (-1, 0, 0)
        if epoch != self._epoch:
            super().run_epoch()
            return
        if length != len(self.dataloader):
            self.runner.logger.warning(
                f'Epoch {epoch + 1} was interrupted after {done} of {length} batches, and now has '
                f'{len(self.dataloader)}: it begins anew.'
            )
            super().run_epoch()
            return
        self.runner.logger.info(f'Epoch {epoch + 1} goes on after {done} of {length} batches.')
        self.runner.call_hook('before_train_epoch')
        self.runner.model.train()
        for index, batch in enumerate(self.dataloader):
            if index >= done:
                self.run_iter(index, batch)
        self.runner.call_hook('after_train_epoch')
        self._epoch += 1


def use_resumable_loop(given: Any) -> Any:
    """Return the settings of a train loop, with the loop of epochs replaced by :class:`ResumableEpochLoop`."""
    if isinstance(given, dict) and given.get('type', 'EpochBasedTrainLoop') == 'EpochBasedTrainLoop':
        loop = dict(given)
        if loop.pop('by_epoch', True):
            return {**loop, 'type': 'ResumableEpochLoop'}
    return given
