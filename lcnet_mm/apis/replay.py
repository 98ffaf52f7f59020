"""Running a training step again that was not finite."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.logging import MessageHub
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope
from torch import Tensor, nn

from ..engine.step_dump import StepDump, set_random_state
from ..utils.config import import_custom_modules
from ..utils.errors import BUILD_ERRORS, UserError, as_user_error
from ..utils.models import build_model


@dataclass
class StepReplay:
    """What a step computes.

    Attributes:
        reason: Why the training stopped there.
        files: The images of the batch.
        losses: The losses by name.
        recorded: The losses as the training computed them.
        module: The first module whose output is not finite, or None.
        gradient_norm: L2 norm of all gradients; None where the loss is not finite.
        gradients: Names of the weights whose gradients are not finite.
        weights: Names of the weights that are not finite after the optimizer's step; empty where no step was made.
    """

    reason: str
    files: list[str]
    losses: dict[str, float]
    recorded: dict[str, float]
    module: str | None = None
    gradient_norm: float | None = None
    gradients: list[str] = field(default_factory=list)
    weights: list[str] = field(default_factory=list)

    def format_table(self) -> str:
        """Return the same for people."""
        lines = [f'stopped because: {self.reason}', f'images: {", ".join(self.files) or "unknown"}']
        width = max(map(len, self.losses), default=0)
        for name, value in self.losses.items():
            before = self.recorded.get(name)
            recorded = f'   in the training {before:.6g}' if before is not None else ''
            lines.append(f'  {name:<{width}}  {value:.6g}{recorded}')
        lines.append(f'first module whose output is not finite: {self.module or "none"}')
        if self.gradient_norm is not None:
            lines.append(f'norm of the gradients: {self.gradient_norm:.6g}')
        for names, what in ((self.gradients, 'gradients'), (self.weights, 'weights after the step')):
            if names:
                lines.append(f'{what} that are not finite: {len(names)} (first: {names[0]})')
        return '\n'.join(lines)


def replay_step(dump: str | Path) -> StepReplay:
    """Run a training step again on the CPU, from the file that a training left when it stopped.

    The losses are those of the training where that ran on a CPU with as many threads; on GPUs, and with several
    processes, they differ by rounding and by the other processes' gradients.

    Args:
        dump: ``nonfinite_step_N.pth`` of a work dir. Reading it runs no code from it; the modules that its config
            imports must be installed.

    Raises:
        UserError: the file cannot be read, or its model cannot be built any more.
    """
    step = StepDump.load(dump)
    cfg = Config(step.config)
    with as_user_error(f'the model of {dump} cannot be built', *BUILD_ERRORS):
        import_custom_modules(cfg)
        model: Any = build_model(cfg)
    unknown = [name for name, _ in [*model.named_parameters(), *model.named_buffers()] if name not in step.weights]
    if unknown:
        raise UserError(
            f'the model of {dump} has changed since: it has weights that the file lacks, first {unknown[0]}'
        )
    _load(model, step.weights)
    if any('ChannelsLastHook' in str(hook.get('type')) for hook in (cfg.get('default_hooks') or {}).values() if hook):
        model.to(memory_format=torch.channels_last)
    hub = MessageHub.get_current_instance()
    hub.update_info('epoch', step.epoch)
    hub.update_info('iter', step.iteration)
    # Assigners that change with the epoch.
    if hasattr(model, 'set_epoch'):
        model.set_epoch(step.epoch)
    for module in model.modules():
        if isinstance(getattr(module, 'epoch', None), int):
            module.epoch = step.epoch
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope')):
        return _run(step, cfg, model)


def _run(step: StepDump, cfg: Config, model: Any) -> StepReplay:
    """Run the step, and its backward pass and optimizer as far as the values are finite."""
    first: list[str] = []
    handles = [
        module.register_forward_hook(_watch(name, first))
        for name, module in model.named_modules()
        if not any(True for _ in module.children())
    ]
    wrapper: Any = cfg.get('optim_wrapper') or {}
    amp = torch.autocast('cpu', torch.bfloat16) if 'Amp' in str(wrapper.get('type')) else nullcontext()
    model.train()
    set_random_state(step.rng)
    with amp:
        output = model._run_forward(model.data_preprocessor(step.batch, True), mode='loss')
    for handle in handles:
        handle.remove()
    total, _ = model.parse_losses(output)
    losses = {
        name: float(sum(part.detach().float().sum() for part in (value if isinstance(value, list) else [value])))
        for name, value in output.items()
        if 'loss' in name
    }
    replay = StepReplay(step.reason, step.files, losses, step.losses, first[0] if first else None)
    if not bool(total.isfinite()):
        return replay
    total.backward()
    gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    replay.gradient_norm = float(torch.stack([gradient.norm() for gradient in gradients.values()]).norm())
    replay.gradients = [name for name, gradient in gradients.items() if not gradient.isfinite().all()]
    if replay.gradients or not wrapper:
        return replay
    # The wrapper of a GPU's mixed precision cannot be built here, and its optimizer computes the same.
    plain = {name: value for name, value in wrapper.items() if name not in ('loss_scale', 'dtype', 'use_fsdp')}
    optimizer = build_optim_wrapper(model, {**plain, 'type': 'OptimWrapper'})
    state = {name: value for name, value in step.optimizer.items() if name in ('state', 'param_groups')}
    optimizer.optimizer.load_state_dict(state)
    optimizer.step()
    replay.weights = [name for name, p in model.named_parameters() if not p.isfinite().all()]
    return replay


def _load(model: nn.Module, weights: dict[str, Tensor]) -> None:
    """Copy weights by name; a state dict would leave out the teacher of a distillation."""
    with torch.no_grad():
        for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
            tensor.copy_(weights[name])


def _watch(name: str, first: list[str]) -> Any:
    def look(module: nn.Module, inputs: Any, output: Any) -> None:
        if not first and isinstance(output, Tensor) and output.is_floating_point() and not output.isfinite().all():
            first.append(name)

    return look
