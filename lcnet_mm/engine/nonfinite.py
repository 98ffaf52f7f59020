"""Stopping a training at the first step that is not finite, with what reproduces it."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import get_rank, get_world_size
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from torch import Tensor, nn

from ..utils.errors import UserError
from ..utils.models import unwrapped_model
from .step_dump import StepDump, image_files, random_state

_SHOWN_FILES = 4


@HOOKS.register_module()
class NonFiniteHook(Hook):
    """Stop the training when a loss, a gradient or a weight is infinite or not a number.

    Losses are looked at before the backward pass and gradients before the optimizer's step, so that the weights in
    memory are still good; the weights afterwards. Under float16 with loss scaling, a gradient that overflows makes the
    scaler leave out the step, and is no error. What the step needs is written to ``nonfinite_step_N.pth`` in the work
    dir; :func:`lcnet_mm.apis.replay_step` runs it again.

    It keeps a second copy of the weights, and takes 2 % of the time of a step (docs/training.md has how that was
    measured).
    """

    # Before the average of the weights is updated and anything is saved.
    priority = 'HIGHEST'

    def before_train(self, runner: Runner) -> None:
        """Watch the losses and the optimizer."""
        self._runner = runner
        model = unwrapped_model(runner)
        trained = [(name, p.data) for name, p in model.named_parameters() if p.requires_grad]
        buffers = [(name, b) for name, b in model.named_buffers() if b.is_floating_point()]
        self._names = [name for name, _ in trained + buffers]
        self._live = [tensor for _, tensor in trained + buffers]
        self._before = [torch.empty_like(tensor) for tensor in self._live]
        self._model = model
        self._losses: dict[str, float] = {}
        self._handles = [model.register_forward_hook(self._check_losses, with_kwargs=True)]
        wrapper: Any = runner.optim_wrapper
        wrappers = list(wrapper.values()) if hasattr(wrapper, 'optim_wrappers') else [wrapper]
        self._handles += [part.optimizer.register_step_pre_hook(self._check_gradients) for part in wrappers]

    def after_train(self, runner: Runner) -> None:
        """Watch no longer."""
        for handle in self._handles:
            handle.remove()

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Keep what the step starts from."""
        with torch.no_grad():
            torch._foreach_copy_(self._before, self._live)
        self._rng = random_state()
        # Data preprocessors scale the boxes of the samples in place, but never the images.
        inputs = data_batch.get('inputs') if isinstance(data_batch, dict) else None
        self._batch = copy.deepcopy(data_batch, {id(inputs): inputs} if inputs is not None else {})

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: dict[str, Any] | None = None
    ) -> None:
        """Look at the weights."""
        if not _all_finite(self._live):
            wrong = [name for name, tensor in zip(self._names, self._live, strict=True) if not tensor.isfinite().all()]
            self._stop(f'{len(wrong)} weights are not finite after the step (first: {wrong[0]})')

    def _check_losses(self, module: nn.Module, args: Any, kwargs: dict[str, Any], output: Any) -> None:
        if kwargs.get('mode') != 'loss' or not isinstance(output, dict):
            return
        losses = {name: _total(value) for name, value in output.items() if 'loss' in name}
        self._outputs = losses
        if losses and not bool(torch.stack(list(losses.values())).sum().isfinite()):
            values = {name: value.item() for name, value in losses.items()}
            self._losses = values
            wrong = [f'{name} is {value}' for name, value in values.items() if not abs(value) < float('inf')]
            self._stop(', '.join(wrong) or 'the sum of the losses is not finite')

    def _check_gradients(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        gradients = [p.grad for group in optimizer.param_groups for p in group['params'] if p.grad is not None]
        if not _all_finite([gradient for gradient in gradients if not gradient.is_sparse]):
            wrong = [
                name
                for name, parameter in self._model.named_parameters()
                if parameter.grad is not None and not parameter.grad.isfinite().all()
            ]
            first = f' (first: {wrong[0]})' if wrong else ''
            self._stop(f'the gradients of {len(wrong)} weights are not finite{first}')

    def _stop(self, reason: str) -> None:
        """Write the dump and raise the error.

        Raises:
            UserError: always.
        """
        runner, files = self._runner, image_files(self._batch)
        losses = self._losses or {name: float(value) for name, value in getattr(self, '_outputs', {}).items()}
        kept = dict(zip(self._names, self._before, strict=True))
        state = {**dict(self._model.named_parameters()), **dict(self._model.named_buffers())}
        dump = StepDump(
            config=runner.cfg.to_dict(),
            iteration=runner.iter,
            epoch=runner.epoch,
            reason=reason,
            batch=self._batch,
            rng=self._rng,
            weights={name: kept.get(name, tensor).detach().cpu() for name, tensor in state.items()},
            optimizer=runner.optim_wrapper.state_dict(),  # type: ignore[union-attr]
            losses=losses,
            files=files,
        )
        rank = f'_rank_{get_rank()}' if get_world_size() > 1 else ''
        path = Path(runner.work_dir) / f'nonfinite_step_{runner.iter + 1}{rank}.pth'
        try:
            dump.save(path)
            kept_in = f'{path} has the step, to be run again'
        except (OSError, RuntimeError) as error:
            kept_in = f'the step could not be written to {path} ({error})'
        shown = ', '.join(files[:_SHOWN_FILES]) + (f' … ({len(files)} in all)' if len(files) > _SHOWN_FILES else '')
        raise UserError(
            f'step {runner.iter + 1} (epoch {runner.epoch + 1}): {reason}; images of the batch: {shown or "unknown"}; '
            f'{last_checkpoint_text(runner)}; {kept_in}'
        )


def last_checkpoint_text(runner: Runner) -> str:
    """Name the last complete checkpoint of a run."""
    last = runner.message_hub.get_info('last_ckpt') if 'last_ckpt' in runner.message_hub.runtime_info else None
    candidates = [Path(str(last))] if last else []
    # While a checkpoint is written, its name is already noted.
    candidates += sorted(Path(runner.work_dir).glob('*.pth'), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in candidates:
        if path.is_file() and path.name.startswith(('epoch_', 'iter_')):
            return f'the last good checkpoint is {path}'
    return 'there is no checkpoint yet'


def _total(value: Any) -> Tensor:
    """Return the sum of a loss, which may be a list of losses."""
    parts = value if isinstance(value, list | tuple) else [value]
    return torch.stack([part.detach().float().sum() for part in parts]).sum() if parts else torch.zeros(())


def _all_finite(tensors: list[Tensor]) -> bool:
    """Whether all values are finite, with one pass over them and one result to wait for."""
    if not tensors:
        return True
    # The largest magnitude of each, which cannot overflow as a sum of squares does.
    largest = torch._foreach_norm(tensors, float('inf'))
    return bool(torch.stack([value.float() for value in largest]).max().isfinite())
