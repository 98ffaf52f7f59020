"""Parts of classifiers that mmpretrain lacks, registered on import.

Configs list ``lcnet_mm.classification`` in ``custom_imports``.
"""

from ..utils.optional import require

require('mmpretrain', 'lcnet_mm.classification', 'classification')

from .backbones import NarrowShuffleNetV2, PaddleMobileNetV2  # noqa: E402
from .datasets import ImageList  # noqa: E402
from .heads import LastConvClsHead, MobileNetV3Head  # noqa: E402
from .hooks import UnreadableImagesHook  # noqa: E402
from .losses import SymmetricKLLoss  # noqa: E402
from .multi_scale import MultiScaleBatchSampler, MultiScaleRandomResizedCrop  # noqa: E402
from .ssld import SSLDDistiller  # noqa: E402
from .transforms import PaddleAutoAugment, UniformAspectRandomResizedCrop  # noqa: E402
from .visualization import ClsVisualizationHook  # noqa: E402

__all__ = [
    'ClsVisualizationHook',
    'ImageList',
    'LastConvClsHead',
    'MobileNetV3Head',
    'MultiScaleBatchSampler',
    'MultiScaleRandomResizedCrop',
    'NarrowShuffleNetV2',
    'PaddleAutoAugment',
    'PaddleMobileNetV2',
    'SSLDDistiller',
    'SymmetricKLLoss',
    'UniformAspectRandomResizedCrop',
    'UnreadableImagesHook',
]
