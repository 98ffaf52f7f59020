"""Necks of the PicoDet generations."""

from .lc_pan import CSPPAN, LCPAN, FourLevelPAN
from .pan import PAN

__all__ = ['CSPPAN', 'LCPAN', 'PAN', 'FourLevelPAN']
