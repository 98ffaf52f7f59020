"""Reading configs."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.config.utils import MODULE2PACKAGE
from mmengine.utils import get_installed_path, import_modules_from_strings, is_installed

from .config_names import check_options
from .config_variables import check_variables
from .errors import UserError, as_user_error

_MODULE = 'lcnet_mm'
# mmengine takes the folder of what its table names. By a distribution's name it takes the first of its top-level
# modules, which is not this package; a module of this package leads to the folder however it is installed.
_ANCHOR = 'lcnet_mm.version'
# Where the wheel has the configs, and an editable installation a link to them.
_INSTALLED = Path(__file__).parents[1] / '.mim'


def load_config(path: str | Path, options: dict[str, Any] | None = None) -> Config:
    """Read a config with its overrides; nothing else changes, the current scope of the registries included.

    A ``_base_`` may name a config of this package or of an mm library as ``lcnet_mm::picodet_like/…`` or
    ``mmdet::…``. For this package that works here and in the commands, which read their configs here: mmengine alone
    knows the mm libraries only.

    Args:
        path: The config file, or the name of an installed one, ``lcnet_mm::picodet_like/picodet_s_320_coco.py``. Where
            ``configs/…`` does not exist in the current folder, it is the installed config.
        options: Overrides, ``{'model.backbone.widen_factor': 0.5}``.

    Raises:
        UserError: the file does not exist, is not a valid config, imports what is not installed, or sets a variable
            that its base has used already; an override does not fit the config, or nothing reads what it sets.
    """
    file = _find(path)
    if not file.is_file():
        raise UserError(f'config {path} does not exist')
    with _known_to_mmengine():
        with as_user_error(f'config {path} cannot be read', Exception, SystemExit):
            cfg = Config.fromfile(file)
        check_variables(file)
    _drop_scope(cfg._cfg_dict)
    if options:
        before = copy.deepcopy(cfg)
        for name, value in options.items():
            with as_user_error(f'{name}={value} does not fit config {path}', Exception):
                cfg.merge_from_dict({name: copy.deepcopy(value)})
        check_options(cfg, options, before)
    return cfg


def _find(path: str | Path) -> Path:
    """Return the file of a config, which may be the name of an installed one."""
    module, separator, name = str(path).partition('::')
    if not separator:
        file = Path(path)
        installed = _INSTALLED / file
        # So that the commands in the documents work without a clone of the repository.
        return installed if file.parts[:1] == ('configs',) and not file.exists() and installed.is_file() else file
    if module == _MODULE:
        return _INSTALLED / 'configs' / name
    package = MODULE2PACKAGE.get(module, module)
    if not is_installed(package):
        raise UserError(f'config {path} does not exist: {package} is not installed')
    return Path(get_installed_path(package)) / '.mim' / 'configs' / name


@contextmanager
def _known_to_mmengine() -> Iterator[None]:
    """Let mmengine find ``lcnet_mm::…`` while a config is read: it only looks into packages that its table lists."""
    before = MODULE2PACKAGE.get(_MODULE)
    MODULE2PACKAGE[_MODULE] = _ANCHOR
    try:
        yield
    finally:
        MODULE2PACKAGE.pop(_MODULE)
        if before is not None:
            MODULE2PACKAGE[_MODULE] = before


def _drop_scope(value: Any) -> None:
    """Remove the scope that mmengine gives to everything that comes from ``lcnet_mm::``.

    A scope names the registry of a library. This package has none: it registers in those of the mm libraries.
    """
    if isinstance(value, dict):
        if value.get('_scope_') == _MODULE:
            value.pop('_scope_')
        for part in value.values():
            _drop_scope(part)
    elif isinstance(value, list | tuple):
        for part in value:
            _drop_scope(part)


def import_custom_modules(cfg: Config) -> None:
    """Import what ``custom_imports`` of a config names that was not read from a file, as reading it would."""
    given = cfg.get('custom_imports')
    if given:
        import_modules_from_strings(**given)
