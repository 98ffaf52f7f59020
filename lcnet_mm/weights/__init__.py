"""Conversion of weights that other projects have published."""

from typing import TYPE_CHECKING, Any

from .names import UnknownKeyError, rename_paddle_key

if TYPE_CHECKING:
    from .convert import Conversion, convert_weights

__all__ = ['Conversion', 'UnknownKeyError', 'convert_weights', 'rename_paddle_key']


def __getattr__(name: str) -> Any:
    # Not imported with the package, so that the names of tensors can be looked up without torch.
    if name in ('Conversion', 'convert_weights'):
        from . import convert

        return getattr(convert, name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
