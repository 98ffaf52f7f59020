"""Reference outputs of the original Paddle implementation, for weights that are a function of their name and shape.

A case is ``data/golden/NAME.json`` (what it is, the shape of every tensor) and ``NAME.npz`` (the outputs, and under
``state/`` the batch norm statistics, which are the real ones of the case's own input).
"""

import json
import pickle
from pathlib import Path

import numpy as np
import torch
from golden_weights import GOLDEN, fill, input_images
from torch import Tensor

# Tolerance for features and logits of PP-LCNet. Paddle computed the stored outputs in float32, and they differ from the
# same network in float64 by up to 1.0e-5 of the largest value. The tests compute in float64, where CPUs agree to 1e-13,
# so what remains is the rounding in the stored files, the same on every machine.
BACKBONE_ROUNDING = 2e-5


def load_case(name: str) -> tuple[dict, dict[str, Tensor], dict[str, Tensor]]:
    """Return the case's description, its Paddle state dict and its reference outputs."""
    case = json.loads((GOLDEN / f'{name}.json').read_text())
    arrays = dict(np.load(GOLDEN / f'{name}.npz'))
    state = {key: fill(key, tuple(shape), case['seed']) for key, shape in case['spec'].items()}
    state.update({key.removeprefix('state/'): value for key, value in arrays.items() if key.startswith('state/')})
    outputs = {key: torch.from_numpy(value) for key, value in arrays.items() if not key.startswith('state/')}
    return case, {key: torch.from_numpy(value) for key, value in state.items()}, outputs


def write_pdparams(path: Path, state: dict[str, Tensor]) -> Path:
    """Write a state dict as Paddle does: a pickle of arrays, with the entry that is no array."""
    arrays: dict = {key: value.numpy() for key, value in state.items()}
    arrays['StructuredToParameterName@@'] = {key: key for key in state}
    path.write_bytes(pickle.dumps(arrays, protocol=2))
    return path


def load_image(case: dict) -> Tensor:
    """Return the case's normalized input ``(2, 3, H, W)``."""
    return torch.from_numpy(input_images(case['seed'], case['input_size']))


def to_torch_names(state: dict[str, Tensor], prefix: str = '') -> dict[str, Tensor]:
    """Rename the batch norm statistics, and keep only the tensors under ``prefix``, without it."""
    return {
        key.removeprefix(prefix).replace('._mean', '.running_mean').replace('._variance', '.running_var'): value
        for key, value in state.items()
        if key.startswith(prefix)
    }


def relative_error(actual: Tensor, expected: Tensor) -> float:
    """Return the largest difference relative to the largest expected value."""
    return float((actual - expected).detach().abs().max() / expected.detach().abs().max())
