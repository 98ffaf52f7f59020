"""Initial weights that load as a whole, or stop the training."""

from __future__ import annotations

from typing import Any

from mmengine.logging import print_log
from mmengine.model.weight_init import PretrainedInit, update_init_info
from mmengine.registry import WEIGHT_INITIALIZERS
from mmengine.runner.checkpoint import _load_checkpoint, load_state_dict
from torch import nn

from ..utils.checkpoint import find_misfits, strip_prefix
from ..utils.errors import UserError


@WEIGHT_INITIALIZERS.register_module(name='Pretrained', force=True)
class CompletePretrainedInit(PretrainedInit):
    """mmengine's ``Pretrained`` initializer, which also checks that every weight of the module was in the checkpoint.

    mmengine loads what fits, and only its log says what did not: a checkpoint of another width, or a prefix that was
    left out, loads nothing at all. Tensors of the checkpoint that the module does not have, such as the classifier of
    an ImageNet checkpoint for a backbone, are allowed.

    Args:
        checkpoint: File or address of the checkpoint.
        prefix: Where the module is in the checkpoint, for example 'backbone.'.
        map_location: As for ``torch.load``.
        allow_partial: Whether weights may stay as they were initialized, because they are missing in the checkpoint or
            have another shape there. The log says which.
    """

    def __init__(
        self, checkpoint: str, prefix: str | None = None, map_location: Any = 'cpu', allow_partial: bool = False
    ) -> None:
        super().__init__(checkpoint, prefix, map_location)  # type: ignore[no-untyped-call]
        self.allow_partial = allow_partial

    def __call__(self, module: nn.Module) -> None:
        """Load the weights.

        Raises:
            UserError: the checkpoint cannot be read, or a weight of the module is missing in it or has another shape.
        """
        name = type(module).__name__
        try:
            checkpoint = _load_checkpoint(self.checkpoint, map_location=self.map_location)
        except Exception as error:
            raise UserError(
                f'init_cfg of {name}: checkpoint {self.checkpoint} cannot be read: {type(error).__name__}: {error}'
            ) from error
        state = checkpoint.get('state_dict', checkpoint) if isinstance(checkpoint, dict) else None
        if not isinstance(state, dict) or not state:
            raise UserError(f'init_cfg of {name}: checkpoint {self.checkpoint} holds no weights')
        state = {key.removeprefix('module.'): value for key, value in state.items()}
        part = state if self.prefix is None else strip_prefix(state, self.prefix)
        misfits = find_misfits(module.state_dict(), part, allow_more=True)
        if misfits and not self.allow_partial:
            raise UserError(
                f'init_cfg of {name}: checkpoint {self.checkpoint} does not fit: {"; ".join(misfits)}'
                f'{self._prefix_hint(module, state)}; to start from what fits all the same, use allow_partial_weights'
            )
        if misfits:
            print_log(f'{name} starts from a part of {self.checkpoint}: {"; ".join(misfits)}', logger='current')
        fitting = {key: value for key, value in part.items() if key in module.state_dict()}
        load_state_dict(module, fitting, strict=False, logger='current')
        if hasattr(module, '_params_init_info'):
            update_init_info(module, init_info=self._get_init_info())  # type: ignore[no-untyped-call]

    def _prefix_hint(self, module: nn.Module, state: dict[str, Any]) -> str:
        """Name the prefix under which the checkpoint has the module, if there is one."""
        first = next(iter(module.state_dict()), None)
        found = [key.removesuffix(first) for key in state if first and key.endswith(f'.{first}')]
        right = [
            prefix
            for prefix in found
            if not find_misfits(module.state_dict(), strip_prefix(state, prefix), allow_more=True)
        ]
        if not right or right[0] == self.prefix:
            return ''
        return f'; the checkpoint has these weights under {right[0]!r}, so set init_cfg.prefix to that'
