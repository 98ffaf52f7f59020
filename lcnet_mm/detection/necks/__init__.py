"""Necks of the PicoDet generations."""

from .pan import PAN

__all__ = ['PAN']
