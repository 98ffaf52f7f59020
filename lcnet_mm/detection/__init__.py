"""Parts of PicoDet that mmdet lacks, registered on import.

Configs list ``lcnet_mm.detection`` in ``custom_imports``.
"""

from ..utils.optional import require

require('mmdet', 'lcnet_mm.detection', 'detection')

from .assigners import BatchATSSAssigner, BatchSimOTAAssigner, BatchTaskAlignedAssigner  # noqa: E402
from .detectors import PicoDet  # noqa: E402
from .heads import PicoDetAlignedHead, PicoDetGFLHead, PicoDetSimOTAHead  # noqa: E402
from .losses import ProbabilityVarifocalLoss  # noqa: E402
from .necks import CSPPAN, LCPAN, PAN  # noqa: E402
from .sizes import set_input_size  # noqa: E402
from .transforms import PaddleDistort, PaddleRandomCrop, resize_collate  # noqa: E402

__all__ = [
    'CSPPAN',
    'LCPAN',
    'PAN',
    'BatchATSSAssigner',
    'BatchSimOTAAssigner',
    'BatchTaskAlignedAssigner',
    'PaddleDistort',
    'PaddleRandomCrop',
    'PicoDet',
    'PicoDetAlignedHead',
    'PicoDetGFLHead',
    'PicoDetSimOTAHead',
    'ProbabilityVarifocalLoss',
    'resize_collate',
    'set_input_size',
]
