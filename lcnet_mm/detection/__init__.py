"""What mmdet lacks for the PicoDet family. Importing it registers necks, heads, assigners and transforms in mmdet."""

from .._optional import require

require('mmdet', 'lcnet_mm.detection', 'detection')

from .assigners import BatchATSSAssigner  # noqa: E402
from .ema import CyclicEMAHook, RampedEMA  # noqa: E402
from .heads import PicoDetGFLHead  # noqa: E402
from .necks import PAN  # noqa: E402
from .transforms import PaddleDistort, PaddleRandomCrop, resize_collate  # noqa: E402

__all__ = [
    'PAN',
    'BatchATSSAssigner',
    'CyclicEMAHook',
    'PaddleDistort',
    'PaddleRandomCrop',
    'PicoDetGFLHead',
    'RampedEMA',
    'resize_collate',
]
