"""Batches of several image sizes, as PaddleClas trains PP-LCNetV2."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from typing import Any

from mmpretrain.registry import DATA_SAMPLERS, TRANSFORMS
from torch.utils.data import Sampler

from ..backbones.base import check_integer
from ..utils.errors import UserError
from .transforms import UniformAspectRandomResizedCrop


class SizedIndex(int):
    """An index into a data set that carries the side of the image that is to be made of it.

    The mm data sets hand the index on as ``sample_idx``, where :class:`MultiScaleRandomResizedCrop` finds the side.

    Attributes:
        side: Height and width of the image.
    """

    side: int

    def __new__(cls, index: int, side: int) -> SizedIndex:
        """Make an index with a side."""
        result = super().__new__(cls, index)
        result.side = side
        return result

    def __reduce__(self) -> tuple[type[SizedIndex], tuple[int, int]]:
        """Keep the side on the way to a worker process."""
        return SizedIndex, (int(self), self.side)


@DATA_SAMPLERS.register_module()
class MultiScaleBatchSampler:
    """Give each batch one of several image sizes, and so many images that all batches have about the same pixels.

    The sizes of the batches of an epoch are drawn once, so that all epochs have as many iterations, and equally in
    all processes. The last batch is filled up with the first images. Source: PaddleClas ``multi_scale_sampler.py``.

    Args:
        sampler: The sampler of the images.
        batch_size: Images in a batch of the first scale; mmengine hands over that of the data loader.
        scales: Sides of the images.
        seed: Of the drawing of sizes.

    Raises:
        TypeError, ValueError: an argument is wrong; the message names it, what it was and what is allowed.
    """

    def __init__(
        self,
        sampler: Sampler[int],
        batch_size: int,
        scales: Sequence[int] = (160, 192, 224, 288, 320),
        seed: int = 0,
    ) -> None:
        if isinstance(scales, str) or not isinstance(scales, Sequence) or len(scales) == 0:
            raise TypeError(f'scales must be a non-empty sequence of sides, got {scales!r}')
        sides = [check_integer('scales', side, 1) for side in scales]
        pixels = sides[0] ** 2 * check_integer('batch_size', batch_size, 1)
        # mmengine's hook sets the epoch of this attribute.
        self.sampler = sampler
        rng = random.Random(seed)
        self.batches: list[tuple[int, int]] = []
        count = 0
        while count < len(sampler):  # type: ignore[arg-type]  # mmengine's samplers have a length
            side = rng.choice(sides)
            self.batches.append((side, max(1, pixels // side**2)))
            count += self.batches[-1][1]

    def __len__(self) -> int:
        """Return the number of batches of an epoch."""
        return len(self.batches)

    def __iter__(self) -> Iterator[list[SizedIndex]]:
        """Yield the batches of an epoch."""
        indices = list(self.sampler)
        total = sum(size for _, size in self.batches)
        indices = (indices * math.ceil(total / len(indices)))[:total]
        start = 0
        for side, size in self.batches:
            yield [SizedIndex(index, side) for index in indices[start : start + size]]
            start += size


@TRANSFORMS.register_module()
class MultiScaleRandomResizedCrop(UniformAspectRandomResizedCrop):
    """Crop a random rectangle and resize it to the size that :class:`MultiScaleBatchSampler` gave the batch.

    Required keys: ``img``, ``sample_idx``. Modified keys: ``img``, ``img_shape``.

    Args:
        kwargs: ``crop_ratio_range``, ``aspect_ratio_range`` and ``interpolation`` of
            :class:`UniformAspectRandomResizedCrop`.

    Raises:
        UserError: the batch has no size: its sampler is another one, or a data set around the images, such as
            ``RepeatDataset``, makes new indices.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Transform the results of the steps before."""
        index = results.get('sample_idx')
        if not isinstance(index, SizedIndex):
            raise UserError(
                f'{type(self).__name__} got an image without a size; it needs '
                "train_dataloader.batch_sampler=dict(type='MultiScaleBatchSampler') and a data set that is not wrapped"
            )
        return self.resize_crop(results, (index.side, index.side))
