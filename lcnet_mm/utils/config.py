"""Reading configs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.config.utils import MODULE2PACKAGE
from mmengine.registry import init_default_scope

from .errors import UserError, as_user_error

# mmengine finds `_base_ = 'lcnet_mm::…'` in the installed package only if its own table names it.
MODULE2PACKAGE.setdefault('lcnet_mm', 'lcnet-mm')


def load_config(path: str | Path, options: dict[str, Any] | None = None) -> Config:
    """Read a config with its overrides and make its scope the current one.

    Args:
        path: The config file.
        options: Overrides, ``{'model.backbone.widen_factor': 0.5}``.

    Raises:
        UserError: the file does not exist, is not a valid config, or imports what is not installed.
    """
    if not Path(path).is_file():
        raise UserError(f'config {path} does not exist')
    with as_user_error(f'config {path} cannot be read', Exception):
        cfg = Config.fromfile(path)
        drop_scope(cfg._cfg_dict)
        if options:
            cfg.merge_from_dict(options)
    init_default_scope(cfg.get('default_scope') or 'mmengine')
    return cfg


def drop_scope(value: Any) -> None:
    """Remove the scope that mmengine gives to all that comes from ``lcnet_mm::``.

    A scope names a library's own registry, and this package has none: it registers in those of the mm libraries.
    """
    if isinstance(value, dict):
        if value.get('_scope_') == 'lcnet_mm':
            value.pop('_scope_')
        for part in value.values():
            drop_scope(part)
    elif isinstance(value, list | tuple):
        for part in value:
            drop_scope(part)
