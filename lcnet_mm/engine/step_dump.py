"""A training step in a file: what is needed to run it again."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..utils.checkpoint import load_restricted
from ..utils.errors import UserError
from ..utils.files import atomic_path

_FORMAT = 'lcnet_mm step 1'
# Modules whose classes are data samples and their parts, so that they may be built from a file.
_DATA_MODULES = ('mmengine.structures', 'mmdet.structures', 'mmseg.structures', 'mmpretrain.structures')


@dataclass
class StepDump:
    """One training step, as it was before it changed anything.

    Attributes:
        config: The config as plain data, so that reading it runs no code.
        iteration: Number of steps before this one.
        epoch: Number of whole epochs before this step.
        reason: What was not finite.
        batch: What the data loader yielded, before the data preprocessor.
        rng: State of the random number generators, see :func:`random_state`.
        weights: Parameters and buffers by name.
        optimizer: State of the optimizer.
        losses: The losses by name, as the step computed them.
        files: The image files of the batch.
    """

    config: dict[str, Any]
    iteration: int
    epoch: int
    reason: str
    batch: Any
    rng: dict[str, Any]
    weights: dict[str, Tensor]
    optimizer: dict[str, Any]
    losses: dict[str, float] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)

    def save(self, path: str | Path) -> None:
        """Write the step to a file."""
        # Not asdict: it would copy every tensor.
        content = {name: getattr(self, name) for name in self.__dataclass_fields__}
        with atomic_path(path) as partial:
            torch.save(dict(content, format=_FORMAT), partial)

    @classmethod
    def load(cls, path: str | Path) -> StepDump:
        """Read a step; the file may build data samples and tensors, and runs no other code.

        Raises:
            UserError: the file does not exist, or is not a dump of a step.
        """
        if not Path(path).is_file():
            raise UserError(f'{path} does not exist')
        try:
            content = load_restricted(path, 'cpu', also=_find_data_class)
        except Exception as error:
            raise UserError(f'{path} cannot be read as the dump of a step: {type(error).__name__}: {error}') from error
        if not isinstance(content, dict) or content.pop('format', None) != _FORMAT:
            raise UserError(f'{path} is not the dump of a step')
        return cls(**content)


def _find_data_class(module: str, name: str) -> Any:
    """Return a class of data samples, or None if a name is anything else."""
    if (module, name) in (('__builtin__', 'set'), ('builtins', 'set')):
        return set
    if not module.startswith(_DATA_MODULES):
        return None
    found = getattr(import_module(module), name, None)
    return found if isinstance(found, type) and found.__module__ == module else None


def random_state() -> dict[str, Any]:
    """Return the state of the random number generators of Python, NumPy and PyTorch."""
    kind, keys, position, has_gauss, cached = np.random.get_state(legacy=True)
    return dict(
        python=random.getstate(),
        numpy=(kind, keys, position, has_gauss, cached),
        torch=torch.get_rng_state(),
        cuda=torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else [],
    )


def set_random_state(state: dict[str, Any]) -> None:
    """Set what :func:`random_state` returned."""
    version, internal, gauss = state['python']
    random.setstate((version, tuple(internal), gauss))
    np.random.set_state(tuple(state['numpy']))
    torch.set_rng_state(state['torch'])
    if state['cuda'] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state['cuda'][: torch.cuda.device_count()])


def image_files(batch: Any) -> list[str]:
    """Return the image files that the data samples in a batch name, in their order."""
    return list(dict.fromkeys(_image_files(batch)))


def _image_files(value: Any) -> Iterator[str]:
    path = value.get('img_path') if hasattr(value, 'get') else None
    if isinstance(path, str | Path):
        yield str(path)
    elif isinstance(value, dict):
        for part in value.values():
            yield from _image_files(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _image_files(part)
