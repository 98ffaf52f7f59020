"""Weights from other projects."""

from .names import UnknownKeyError, rename_paddle_key

__all__ = ['UnknownKeyError', 'rename_paddle_key']
