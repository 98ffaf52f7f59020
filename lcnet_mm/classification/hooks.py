"""Hooks for training classifiers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mmengine import dist
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from .datasets import ImageList

# Number of images that are named after training.
_NAMED = 10


@HOOKS.register_module()
class UnreadableImagesHook(Hook):
    """Report the images that the :class:`ImageList` data sets of a training skip.

    It logs a line after each epoch in which the number has increased, and the first names after training. Of several
    processes, each reads a part of the list; their records are merged after each epoch and compared with
    ``max_unreadable``.
    """

    def __init__(self) -> None:
        self.reported: dict[int, int] = {}

    def after_train_epoch(self, runner: Runner) -> None:
        """Report the unreadable images of the epoch."""
        for number, images in enumerate(_image_lists(runner.train_dataloader.dataset)):
            _merge_processes(images)
            count = images.num_unreadable
            if count != self.reported.get(number, 0):
                self.reported[number] = count
                runner.logger.warning(f'{images.name}: {count} of {len(images)} images are unreadable and skipped')
            images.check_unreadable()

    def after_train(self, runner: Runner) -> None:
        """Report the unreadable images of the whole training."""
        for images in _image_lists(runner.train_dataloader.dataset):
            count = images.num_unreadable
            if count:
                names = ', '.join(images.unreadable_paths(_NAMED)) + (', …' if count > _NAMED else '')
                runner.logger.warning(
                    f'{images.name}: {count} of {len(images)} images were unreadable and skipped: {names}'
                )
            else:
                runner.logger.info(f'{images.name}: none of the {len(images)} images was found to be unreadable')


def _image_lists(dataset: Any) -> Iterator[ImageList]:
    """Yield the :class:`ImageList` data sets inside wrappers such as ConcatDataset and RepeatDataset."""
    if isinstance(dataset, ImageList):
        yield dataset
        return
    # The attributes of the wrapper itself: mmengine's wrapper for num_batch_per_epoch forwards all others to its data
    # set, which is in _dataset.
    held = vars(dataset)
    for part in (*held.get('datasets', ()), held.get('dataset'), held.get('_dataset')):
        if part is not None:
            yield from _image_lists(part)


def _merge_processes(images: ImageList) -> None:
    """Merge the records of all processes of a training, in place, so that running workers see the result."""
    if dist.get_world_size() > 1:
        found = images.unreadable.byte()
        dist.all_reduce(found, 'max')
        images.unreadable.copy_(found.bool())
