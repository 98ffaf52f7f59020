"""Heads of the PicoDet generations."""

from .base import PicoDetBaseHead
from .gfl_head import PicoDetGFLHead

__all__ = ['PicoDetBaseHead', 'PicoDetGFLHead']
