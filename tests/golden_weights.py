"""Weights and inputs of the golden cases as functions of names, shapes and seeds; needs NumPy only.

The tests and the generator of the cases (``data/golden/generate.py``, which runs beside Paddle and without PyTorch)
share these functions, so that a case stores no weight but its batch norm statistics.
"""

import zlib
from pathlib import Path

import numpy as np

GOLDEN = Path(__file__).parent / 'data' / 'golden'


def fill(name: str, shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Return the weight of a case's network under this Paddle name, float32."""
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


def input_images(seed: int, size: list[int]) -> np.ndarray:
    """Return a case's normalized input ``(2, 3, H, W)``, float32; ``size`` is ``[H, W]``."""
    rng = np.random.default_rng([seed, 7])
    return rng.standard_normal((2, 3, *size)).astype('float32')
