"""Weights that other projects have published: a catalog of names, a cache, and the conversion of their files."""

from typing import TYPE_CHECKING, Any

from .catalog import PublishedWeights, find_weights, read_catalog
from .names import UnknownKeyError, rename_paddle_key

if TYPE_CHECKING:
    from .cache import get_weights
    from .convert import Conversion, convert_weights

__all__ = [
    'Conversion',
    'PublishedWeights',
    'UnknownKeyError',
    'convert_weights',
    'find_weights',
    'get_weights',
    'read_catalog',
    'rename_paddle_key',
]


def __getattr__(name: str) -> Any:
    # Not imported with the package, so that the names of tensors can be looked up without torch.
    if name in ('Conversion', 'convert_weights'):
        from . import convert

        return getattr(convert, name)
    if name == 'get_weights':
        from .cache import get_weights

        return get_weights
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
