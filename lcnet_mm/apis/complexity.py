"""Counting the parameters and operations of the models of configs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..latency.complexity import Complexity, measure
from ..utils.config import load_config
from ..utils.errors import BUILD_ERRORS, UserError, as_user_error
from ..utils.models import build_model

# The smallest side: the backbones have stride 32.
_MIN_SIDE = 32


def complexity(
    configs: Sequence[str | Path], *, shape: Sequence[int] = (320, 320), options: dict[str, Any] | None = None
) -> dict[str, Complexity]:
    """Count parameters, multiply-adds and FLOPs of the models of configs, part by part.

    Args:
        configs: Config files. A ``model`` may be a whole model or a backbone alone.
        shape: Height and width of the input; its channels are those of the model.
        options: Overrides of all configs.

    Returns:
        The counts by config.

    Raises:
        UserError: a config cannot be read or has no model, or the model cannot be built or cannot run on the shape.
    """
    height, width = shape
    if min(shape) < _MIN_SIDE:
        raise UserError(f'shape {height} {width} is too small: both sides must be at least {_MIN_SIDE}')
    results = {}
    for path in configs:
        cfg = load_config(path, options)
        if 'model' not in cfg:
            raise UserError(f'config {path} has no model')
        with as_user_error(f'the model of {path} cannot be built', *BUILD_ERRORS):
            model = build_model(cfg)
        channels = cfg.model.get('in_channels') or cfg.model.get('backbone', {}).get('in_channels') or 3
        with as_user_error(f'the model of {path} cannot run on {channels}x{height}x{width}', Exception):
            results[str(path)] = measure(model, (channels, height, width))
    return results
