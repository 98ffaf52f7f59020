"""A data set of unlabeled images for mmpretrain."""

from __future__ import annotations

import copy
import os
import pickle
from array import array
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmpretrain.datasets import BaseDataset
from mmpretrain.registry import DATASETS

from ..backbones.layers import Config
from ..utils.errors import UserError
from .lists import UNLABELED, read_list, walk_folder
from .reading import UnreadableImage, load_image


@DATASETS.register_module()
class ImageList(BaseDataset):
    """Images of a text list or of folders, without labels unless the list has them, without unreadable images.

    An unreadable image is replaced by another one, which depends on the index alone. The workers of a data loader
    record unreadable images in shared memory, so that none is tried twice.
    :class:`~lcnet_mm.classification.hooks.UnreadableImagesHook` reports them and merges the records of processes.

    A list of 5 million paths of 40 characters takes 0.5 GB, shared with the workers. It has the serialized form of
    mmengine, but is filled line by line, without a list of dicts. To mix it with labeled images::

        dict(type='ConcatDataset', ignore_keys='classes', datasets=[
            dict(type='ImageNet', …), dict(type='ImageList', …)])

    Args:
        ann_file: Text list with one path per line, relative to the folder ``data_root/data_prefix`` or absolute.
        data_root: Folder that ``ann_file`` and ``data_prefix`` are relative to.
        data_prefix: Folder of the images.
        folders: Without ``ann_file``, folders inside ``data_root/data_prefix`` whose images are used, those in their
            subfolders included; by default that folder itself.
        with_label: Whether a class index follows each path of the list; otherwise ``gt_label`` is -1, which losses that
            need labels, and mixup, do not support.
        pipeline: The transforms; those up to the first that adds ``img`` load the image.
        max_unreadable: Largest share of unreadable images, from 0 to 1, before the run stops.
        test_mode: Whether any unreadable image is an error, because a test needs every image.
        kwargs: ``metainfo``, ``classes``, ``indices``, ``lazy_init``, ``max_refetch`` of mmpretrain's ``BaseDataset``.

    Raises:
        ValueError: ``max_unreadable`` is not between 0 and 1, or arguments exclude each other.
        UserError: the list or a folder is missing, empty or invalid, or too many images are unreadable.
    """

    _fully_initialized: bool

    def __init__(
        self,
        ann_file: str = '',
        data_root: str = '',
        data_prefix: str | dict[str, str] = '',
        folders: str | Sequence[str] = (),
        with_label: bool = False,
        pipeline: Sequence[Config] = (),
        max_unreadable: float = 0.01,
        test_mode: bool = False,
        **kwargs: Any,
    ) -> None:
        if not 0 <= max_unreadable <= 1:
            raise ValueError(f'max_unreadable must be between 0 and 1, got {max_unreadable}')
        if with_label and not ann_file:
            raise ValueError('with_label=True needs an ann_file; folders have no labels (mmpretrain has CustomDataset)')
        if ann_file and folders:
            raise ValueError(f'ann_file and folders exclude each other, got {ann_file!r} and {folders!r}')
        self.folders = [folders] if isinstance(folders, str) else list(folders)
        self.with_label = with_label
        self.max_unreadable = max_unreadable
        super().__init__(
            ann_file=ann_file,
            data_root=data_root,
            data_prefix=data_prefix,
            pipeline=pipeline,
            test_mode=test_mode,
            **kwargs,
        )

    def full_init(self) -> None:
        """Read the list or the folders, if that has not been done yet."""
        if self._fully_initialized:
            return
        self.data_bytes, self.data_address = _serialize(self.entries())
        self._fully_initialized = True
        self.reset_unreadable()
        if self._indices is not None:
            chosen = range(len(self))[_slice_of(self._indices)] if isinstance(self._indices, int) else self._indices
            self.get_subset_(chosen)

    def entries(self) -> Iterator[tuple[str, int]]:
        """Yield the path and the label of each image."""
        folder = self.img_prefix
        if self.ann_file:
            classes = self.CLASSES
            for path, label in read_list(
                self.ann_file, with_label=self.with_label, num_classes=len(classes) if classes else None
            ):
                yield os.path.join(folder, os.fsdecode(path)), label
        else:
            for name in self.folders or ['']:
                for path in walk_folder(Path(folder, name)):
                    yield os.fsdecode(path), UNLABELED

    def get_subset_(self, indices: Sequence[int] | int) -> None:
        """Keep only these images."""
        super().get_subset_(indices)
        self.reset_unreadable()

    def get_subset(self, indices: Sequence[int] | int) -> ImageList:
        """Return a data set of these images."""
        subset = super().get_subset(indices)
        subset.reset_unreadable()
        result: ImageList = subset
        return result

    def __deepcopy__(self, memo: dict[int, Any]) -> ImageList:
        """Copy the data set, and share the memory of the copy, which torch does not do by itself."""
        memo[id(self)] = copied = type(self).__new__(type(self))
        copied.__dict__.update(copy.deepcopy(self.__dict__, memo))
        if self._fully_initialized:
            copied.unreadable.share_memory_()
        return copied

    def reset_unreadable(self) -> None:
        """Forget which images are unreadable."""
        self.unreadable = torch.zeros(len(self), dtype=torch.bool).share_memory_()

    def __getitem__(self, idx: int) -> Any:
        self.full_init()
        for candidate in self.candidates(range(len(self))[idx]):
            data = self.prepare_data(candidate)
            if data is not None:
                return data
        raise UserError(f'{self.name}: no readable image found in {self.max_refetch + 1} tries')

    def candidates(self, idx: int) -> Iterator[int]:
        """Yield an index and those of its replacements, which depend on the index alone."""
        yield idx
        yield from map(int, np.random.default_rng(idx).integers(len(self), size=(self.max_refetch,)))

    def prepare_data(self, idx: int) -> Any:
        """Return the output of the pipeline for an image, or None if it is unreadable or a transform returns None."""
        if self.unreadable[idx]:
            return None
        info = self.get_data_info(idx)
        try:
            data, transforms = load_image(self.pipeline.transforms, info)
        except UnreadableImage as error:
            if self.test_mode:
                raise UserError(f'{info["img_path"]} cannot be read ({error}); a test needs every image') from error
            self.unreadable[idx] = True
            self.check_unreadable(f' (the last one: {info["img_path"]}: {error})')
            return None
        for transform in transforms:
            data = transform(data)
            if data is None:
                return None
        return data

    def check_unreadable(self, detail: str = '') -> None:
        """Raise an error if too many images are unreadable.

        Args:
            detail: Text to add to the message.

        Raises:
            UserError: their share is above ``max_unreadable``.
        """
        count = self.num_unreadable
        if count > self.max_unreadable * len(self):
            raise UserError(
                f'{self.name}: {count} of {len(self)} images ({count / len(self):.2%}) cannot be read, and '
                f'max_unreadable={self.max_unreadable} allows {self.max_unreadable:.2%}; first: '
                f'{", ".join(self.unreadable_paths(3))}{detail}'
            )

    @property
    def num_unreadable(self) -> int:
        """Number of images that any worker has found unreadable."""
        return int(self.unreadable.sum())

    def unreadable_paths(self, limit: int) -> list[str]:
        """Return the paths of the first unreadable images, in the order of the list."""
        return [self.get_data_info(idx)['img_path'] for idx in self.unreadable.nonzero().flatten()[:limit].tolist()]

    @property
    def name(self) -> str:
        """The list or the folders, for messages."""
        return str(self.ann_file or ', '.join(os.path.join(self.img_prefix, name) for name in self.folders or ['']))


def _slice_of(count: int) -> slice:
    """Return the slice that mmengine's ``indices`` means by an int: the first images, or the last if it is negative."""
    return slice(count) if count >= 0 else slice(count, None)


def _serialize(entries: Iterable[tuple[str, int]]) -> tuple[np.ndarray, np.ndarray]:
    """Return a data list as ``BaseDataset`` of mmengine stores it, without building a list of dicts.

    Returns:
        The concatenated pickled dicts, uint8, and the end of each one ``(N,)``, int64.
    """
    data, ends = bytearray(), array('q')
    for path, label in entries:
        data += pickle.dumps(dict(img_path=path, gt_label=label), protocol=4)
        ends.append(len(data))
    return np.frombuffer(data, np.uint8), np.frombuffer(ends, np.int64)
