"""Training with torch.compile, for images of one size."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import Any

import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import nn

from ..utils.errors import UserError
from ..utils.models import unwrapped_model

# Parts of the models of the mm libraries that compute on tensors alone. Assigners, losses and optimizers are left out:
# the number of boxes changes with every image.
_PARTS = ('backbone', 'neck', 'bbox_head', 'decode_head', 'auxiliary_head', 'head')
# Steps of a pipeline after which the images have one size, and those after which they have several.
_ONE_SIZE = ('CenterCrop', 'RandomResizedCrop', 'UniformAspectRandomResizedCrop')
_RESIZES = ('Resize', 'RandomResize', 'RandomChoiceResize', 'ResizeShortestEdge', 'ResizeEdge')


def check_compilable(cfg: Config) -> None:
    """Check that torch.compile can work for the training of a config, and can make it faster.

    Raises:
        UserError: there is no C++ compiler, or the images reach the network in several sizes, each of which would be
            compiled anew.
    """
    compiler = os.environ.get('CXX') or 'g++'
    if shutil.which(compiler) is None:
        raise UserError(
            f'torch.compile needs a C++ compiler, and {compiler} is not on the path; install one, name it in the '
            'environment variable CXX, or train without compile'
        )
    if reason := _find_sizes(cfg):
        raise UserError(
            f'compiling does not pay where images have several sizes, because each is compiled anew: {reason}; give '
            'all images one size, or train without compile'
        )


def _find_sizes(cfg: Config) -> str:
    """Say what in a config gives the training images several sizes; empty if nothing in it is known to do so."""
    collate = cfg.train_dataloader.get('collate_fn') or {}
    sizes = sorted(set(collate.get('sizes', ())))
    if len(sizes) > 1:
        return f'train_dataloader.collate_fn.sizes is {sizes}'
    preprocessor = cfg.model.get('data_preprocessor') or {}
    for augment in preprocessor.get('batch_augments') or ():
        if _kind(augment) == 'BatchSyncRandomResize':
            return 'model.data_preprocessor.batch_augments has BatchSyncRandomResize'
    # Images of one size come from the collate function, from padding to a size, or from the pipeline.
    if sizes or preprocessor.get('size'):
        return ''
    for step in reversed(list(_pipeline(cfg.train_dataloader.get('dataset') or {}))):
        if _kind(step) in _ONE_SIZE:
            return ''
        if _kind(step) in _RESIZES:
            fixed = _kind(step) == 'Resize' and not step.get('keep_ratio') and step.get('scale') is not None
            return '' if fixed else f'{_kind(step)} in the training pipeline keeps the shape of each image'
    return ''


def _pipeline(dataset: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the steps of the pipeline of a data set, which may be wrapped; those of the inner one come first."""
    inner = dataset.get('dataset') or next(iter(dataset.get('datasets') or ()), None)
    if inner:
        yield from _pipeline(inner)
    yield from dataset.get('pipeline') or ()


def _kind(step: dict[str, Any]) -> str:
    """Return the name of a type without its scope."""
    return str(step.get('type')).split('.')[-1]


class CompileHook(Hook):
    """Compile the network with torch.compile for the steps of the training; validation stays as it is.

    mmengine's ``cfg.compile`` compiles the whole step with its assigner, loss and optimizer. torch 2.8 cannot: it
    crashes in the detectors' assigners, and it cannot trace optimizers whose schedulers mmengine has wrapped.
    """

    def before_train(self, runner: Runner) -> None:
        """Compile the parts of the network, and watch the size of the images."""
        model = unwrapped_model(runner)
        self._parts: list[nn.Module] = [
            part for name in _PARTS if isinstance(part := getattr(model, name, None), nn.Module)
        ]
        if not self._parts:
            raise UserError(f'compile finds none of {", ".join(_PARTS)} in the model {type(model).__name__}')
        for part in self._parts:
            _compile_in_training(part)
        self._size: tuple[int, ...] | None = None
        self._handle = model.data_preprocessor.register_forward_hook(self._watch)
        runner.logger.info('The network is compiled in the first steps, which takes a minute or more.')

    def after_train(self, runner: Runner) -> None:
        """Restore the methods of the parts."""
        self._handle.remove()
        for part in self._parts:
            del part.forward

    def _watch(self, module: nn.Module, inputs: Any, output: dict[str, Any]) -> None:
        """Check that all training images have one size.

        Raises:
            UserError: a batch has another size than the first one.
        """
        if not self._parts[0].training:
            return
        size = tuple(output['inputs'].shape[-2:])
        self._size = self._size or size
        if size != self._size:
            raise UserError(
                f'compiling does not pay where images have several sizes: they reach the network with height and '
                f'width {self._size} and {size}; give all images one size, or train without compile'
            )


def _compile_in_training(part: nn.Module) -> None:
    """Let a module run compiled in training mode, and as before in evaluation mode."""
    eager = part.forward
    # Static shapes make the fastest code; the last batch of an epoch, which may be smaller, is compiled once more.
    compiled = torch.compile(eager, dynamic=False)

    def forward(*args: Any, **kwargs: Any) -> Any:
        return (compiled if part.training else eager)(*args, **kwargs)

    part.forward = forward
