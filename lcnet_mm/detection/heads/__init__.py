"""Heads of the PicoDet generations."""

from .aligned_head import PicoDetAlignedHead
from .base import PicoDetBaseHead
from .gfl_head import PicoDetGFLHead
from .shared_head import SharedPredictorHead
from .simota_head import PicoDetSimOTAHead

__all__ = ['PicoDetAlignedHead', 'PicoDetBaseHead', 'PicoDetGFLHead', 'PicoDetSimOTAHead', 'SharedPredictorHead']
