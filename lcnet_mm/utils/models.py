"""Building the model of a config in the scope of its library."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from mmengine.config import Config
from mmengine.model import is_model_wrapper
from mmengine.registry import MODELS
from mmengine.runner import Runner
from torch import Tensor, nn


def build_model(cfg: Config) -> nn.Module:
    """Build the model of a config of any mm library, with the weights that its layers are created with.

    The scope of the registries is that of the config while the model is built, and what it was before afterwards. As
    in mmengine's runner, a ``data_preprocessor`` outside ``model`` is the model's unless it has its own.

    Args:
        cfg: The config; a ``model`` without ``backbone``, ``student`` or ``detector`` is a backbone alone, which has
            no data preprocessor.

    Raises:
        Exception: whatever the registry or the model raises for a config that cannot be built; see
            :data:`~lcnet_mm.utils.errors.BUILD_ERRORS`.
    """
    # ConfigDicts: models of the mm libraries read their test_cfg by attributes.
    model_cfg = cfg.model.copy()
    if 'data_preprocessor' in cfg and {'backbone', 'student', 'detector'} & set(model_cfg):
        model_cfg.setdefault('data_preprocessor', cfg.data_preprocessor)
    if cfg.get('default_scope'):
        model_cfg['_scope_'] = cfg.default_scope
    model: nn.Module = MODELS.build(model_cfg)
    return model


def unwrapped_model(runner: Runner) -> Any:
    """Return the model of a runner without what distributes it over processes."""
    return runner.model.module if is_model_wrapper(runner.model) else runner.model


def flatten_tensors(value: Any) -> list[Tensor]:
    """Return all tensors in nested tuples and lists, such as the outputs of a model."""
    if isinstance(value, Tensor):
        return [value]
    return [tensor for part in value for tensor in flatten_tensors(part)]


def fold_branches(model: nn.Module) -> nn.Module:
    """Return a model as it is exported: with the parallel branches of its backbone folded.

    What is folded is what has a method ``switch_to_deploy``, the backbone or the model, as at mmdeploy's export.

    Returns:
        A folded copy, or the model itself where there is nothing to fold.
    """
    if not any(hasattr(part, 'switch_to_deploy') for part in (model, getattr(model, 'backbone', None))):
        return model
    folded: Any = deepcopy(model)
    parts: list[Any] = [getattr(folded, 'backbone', None), folded]
    for part in parts:
        if hasattr(part, 'switch_to_deploy'):
            part.switch_to_deploy()
    result: nn.Module = folded
    return result
