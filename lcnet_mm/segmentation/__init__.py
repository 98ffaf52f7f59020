"""Parts of light segmentors that mmsegmentation lacks, registered on import.

Configs list ``lcnet_mm.segmentation`` in ``custom_imports``.
"""

from ..utils.optional import require

for _package in ('mmseg', 'ftfy', 'regex'):
    require(_package, 'lcnet_mm.segmentation', 'segmentation')

from .heads import GlobalLRASPPHead  # noqa: E402
from .losses import ClassWeightedCrossEntropyLoss  # noqa: E402
from .mobileseg import MobileSegHead  # noqa: E402
from .ohem import HardPixelCrossEntropyLoss  # noqa: E402
from .segmentors import AdaptiveEncoderDecoder  # noqa: E402
from .transforms import LoadCheckedAnnotations  # noqa: E402

__all__ = [
    'AdaptiveEncoderDecoder',
    'ClassWeightedCrossEntropyLoss',
    'GlobalLRASPPHead',
    'HardPixelCrossEntropyLoss',
    'LoadCheckedAnnotations',
    'MobileSegHead',
]
