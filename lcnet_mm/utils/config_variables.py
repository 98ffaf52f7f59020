"""Variables of a config, which count only while the file that sets them is read."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmengine.config import Config

from .arguments import runner_fields
from .errors import UserError


def check_variables(path: str | Path) -> None:
    """Check that a config file does not set a variable of its base that is used in the base only.

    mmengine uses a base's variables while it reads the base, so that setting one again afterwards changes nothing.

    Raises:
        UserError: it does; a class, a pipeline or a number of epochs would silently be another.
    """
    tree = ast.parse(Path(path).read_text(encoding='utf-8'))
    set_here = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    fields = runner_fields()
    unused = {name: node for name, node in set_here.items() if name not in fields and name not in used}
    if '_base_' not in unused or len(unused) == 1:
        return
    del unused['_base_']
    try:
        bases = [Config.fromfile(base) for base in Config._get_base_files(str(path))]
    except Exception:
        # An unreadable base is another error, and reported by whoever reads the config.
        return
    for name, node in unused.items():
        before = next((base[name] for base in bases if name in base), None)
        if before is None:
            continue
        try:
            if ast.literal_eval(node) == before:
                continue
        except (ValueError, TypeError):
            pass
        places = [place for base in bases for place in places_of(base, name, before, fields)]
        if not places:
            continue
        raise UserError(
            f'config {path} sets {name}, a variable that its base has used already, so it changes nothing; '
            f'set {join_places(places)} too'
        )


def places_of(cfg: Config, name: str, value: Any, fields: frozenset[str]) -> list[str]:
    """Return the places of a config that have a variable's name, or its value if that is a list or a dict."""
    named, valued = [], []
    for place, found in leaves(cfg._cfg_dict):
        if place.split('.')[0] in fields:
            if place.rpartition('.')[2] == name:
                named.append(place)
            elif isinstance(value, list | tuple | dict) and value and found == value:
                valued.append(place)
    return named or valued


def leaves(value: Any, place: str = '') -> Iterator[tuple[str, Any]]:
    """Yield every place of a config with its value, from the top."""
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list | tuple) else ()
    for key, part in parts:
        inner = f'{place}.{key}' if place else str(key)
        yield inner, part
        yield from leaves(part, inner)


def join_places(places: list[str]) -> str:
    """Name the first places of a list."""
    return ', '.join(places[:3]) + (' …' if len(places) > 3 else '')
