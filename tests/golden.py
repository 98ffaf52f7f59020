"""Reference outputs of the original Paddle implementation, for weights that are a function of their name and shape.

A case is ``data/golden/NAME.json`` (what it is, the shape of every tensor) and ``NAME.npz`` (the outputs, and under
``state/`` the batch norm statistics, which are the real ones of the case's own input).
"""

import json
import pickle
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

GOLDEN = Path(__file__).parent / 'data' / 'golden'


def fill(name: str, shape: tuple[int, ...], seed: int) -> np.ndarray:
    """The weight that the case's net had under this name."""
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    predictor = '.head_cls' in name or '.head_reg' in name
    if predictor and len(shape) == 1:
        values = 0.3 * rng.standard_normal(shape) - 2
    elif name.endswith('project'):
        values = np.linspace(0, shape[0] - 1, shape[0])
    elif len(shape) >= 2:
        fan_in = int(np.prod(shape[1:])) if len(shape) == 4 else shape[0]
        values = np.sqrt((0.4 if predictor else 1.9) / fan_in) * rng.standard_normal(shape)
    elif name.endswith('.weight'):
        values = rng.uniform(0.6, 1.4, shape)
    else:
        values = 0.1 * rng.standard_normal(shape)
    return values.astype('float32')


def load_case(name: str) -> tuple[dict, dict[str, Tensor], dict[str, Tensor]]:
    """The case's description, its Paddle state dict and its reference outputs."""
    case = json.loads((GOLDEN / f'{name}.json').read_text())
    arrays = dict(np.load(GOLDEN / f'{name}.npz'))
    state = {key: fill(key, tuple(shape), case['seed']) for key, shape in case['spec'].items()}
    state.update({key.removeprefix('state/'): value for key, value in arrays.items() if key.startswith('state/')})
    outputs = {key: torch.from_numpy(value) for key, value in arrays.items() if not key.startswith('state/')}
    return case, {key: torch.from_numpy(value) for key, value in state.items()}, outputs


def write_pdparams(path: Path, state: dict[str, Tensor]) -> Path:
    """Write a state dict as Paddle does: a pickle of arrays, with an entry of its own."""
    arrays: dict = {key: value.numpy() for key, value in state.items()}
    arrays['StructuredToParameterName@@'] = {key: key for key in state}
    path.write_bytes(pickle.dumps(arrays, protocol=2))
    return path


def load_image(case: dict) -> Tensor:
    """The case's normalised input ``(2, 3, H, W)``."""
    rng = np.random.default_rng([case['seed'], 7])
    return torch.from_numpy(rng.standard_normal((2, 3, *case['input_size'])).astype('float32'))


def to_torch_names(state: dict[str, Tensor], prefix: str = '') -> dict[str, Tensor]:
    """Rename the batch norm statistics, and keep what stands under ``prefix`` only."""
    return {
        key.removeprefix(prefix).replace('._mean', '.running_mean').replace('._variance', '.running_var'): value
        for key, value in state.items()
        if key.startswith(prefix)
    }


def relative_error(actual: Tensor, expected: Tensor) -> float:
    """Largest difference relative to the largest expected value."""
    return float((actual - expected).detach().abs().max() / expected.detach().abs().max())
