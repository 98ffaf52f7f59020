"""Reading a checkpoint into the model that it was made for, or saying why not."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from ..checkpoint import load_restricted
from ..errors import UserError


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Read a checkpoint without running code from it.

    Args:
        path: A file written by mmengine or ``torch.save``.

    Returns:
        The checkpoint with its ``state_dict``; a bare state dict is put into one.

    Raises:
        UserError: the file is missing, truncated, or holds objects that are not weights.
    """
    if not Path(path).is_file():
        raise UserError(f'checkpoint {path} does not exist')
    try:
        checkpoint = load_restricted(path, map_location='cpu')
    except pickle.UnpicklingError as error:
        raise UserError(
            f'checkpoint {path} is refused: it is no PyTorch file, or it holds more than weights ({error})'
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise UserError(f'checkpoint {path} is truncated or no PyTorch file; make or copy it again') from error
    if not isinstance(checkpoint, dict):
        raise UserError(f'checkpoint {path} holds a {type(checkpoint).__name__}, expected a dict with a state_dict')
    return checkpoint if 'state_dict' in checkpoint else dict(state_dict=checkpoint, meta={})


def load_weights(model: nn.Module, path: str | Path) -> dict[str, Any]:
    """Load a checkpoint into a model and insist that every tensor has its place.

    Args:
        model: The model.
        path: The checkpoint.

    Returns:
        The checkpoint's ``meta``.

    Raises:
        UserError: as :func:`read_checkpoint`, or a tensor is missing, superfluous or of another shape.
    """
    checkpoint = read_checkpoint(path)
    state: dict[str, Tensor] = checkpoint['state_dict']
    wanted = model.state_dict()
    # Converted weights have no counters, and BN works without them.
    missing = [key for key in wanted if key not in state and not key.endswith('num_batches_tracked')]
    superfluous = [key for key in state if key not in wanted]
    reshaped = [key for key in state if key in wanted and state[key].shape != wanted[key].shape]
    problems = []
    if reshaped:
        key = reshaped[0]
        problems.append(
            f'{len(reshaped)} tensors have another shape (first: {key} is {tuple(state[key].shape)}, '
            f'the model has {tuple(wanted[key].shape)})'
        )
    for keys, what in ((missing, 'are missing'), (superfluous, 'are unknown to the model')):
        if keys:
            problems.append(f'{len(keys)} tensors {what} (first: {keys[0]})')
    if problems:
        raise UserError(f'checkpoint {path} was made for another model: {"; ".join(problems)}')
    model.load_state_dict(state, strict=False)
    return checkpoint.get('meta') or {}
