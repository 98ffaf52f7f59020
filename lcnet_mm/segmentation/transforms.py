"""Loading and checking of label maps."""

from __future__ import annotations

from typing import Any

import numpy as np
from mmseg.datasets.transforms import LoadAnnotations
from mmseg.registry import TRANSFORMS

from ..utils.errors import UserError


@TRANSFORMS.register_module()
class LoadCheckedAnnotations(LoadAnnotations):
    """``LoadAnnotations`` of mmseg with a check of the labels and of the size.

    Args:
        num_classes: Number of classes; their labels are 0 to ``num_classes - 1``.
        ignore_index: Label of pixels without a class.
        **kwargs: As for ``LoadAnnotations``.

    Raises:
        UserError: the file is missing or not an image, contains an unknown label, or has another size than the image.
    """

    def __init__(self, num_classes: int, ignore_index: int = 255, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_classes = num_classes
        self.ignore_index = ignore_index

    def _load_seg_map(self, results: dict[str, Any]) -> None:
        path = results['seg_map_path']
        try:
            super()._load_seg_map(results)
        except FileNotFoundError as error:
            raise UserError(f'label map {path} of {results.get("img_path")} does not exist') from error
        except (OSError, AttributeError, ValueError) as error:
            raise UserError(f'label map {path} cannot be decoded as an image') from error
        labels = results['gt_seg_map']
        # Test pipelines resize the image before they load the labels, so its original size counts.
        size = results.get('ori_shape', labels.shape)
        if labels.shape != tuple(size[:2]):
            raise UserError(
                f'label map {path} has the shape {"x".join(map(str, labels.shape))} (height x width), but its image '
                f'{results.get("img_path")} has {"x".join(map(str, size[:2]))}'
            )
        unknown = np.flatnonzero(np.bincount(labels.ravel(), minlength=256)[:256])
        unknown = unknown[(unknown >= self.num_classes) & (unknown != self.ignore_index)]
        if len(unknown):
            raise UserError(
                f'label map {path} has the unknown label {", ".join(map(str, unknown[:5]))}; allowed are 0 to '
                f'{self.num_classes - 1} and {self.ignore_index} (ignored). Labels of Cityscapes are converted with '
                f'lcnet cityscapes'
            )
