"""One search of the process's objects for all functions that mmdeploy rewrites.

mmdeploy puts a rewritten function in the place of the original wherever that is referred to, and looks through every
object of the process for each function, when the rewriting starts and when it ends: about 40 passes per export, which
are a third of its time in a fresh process and more than half in one that has run for a while.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator, MutableSequence
from contextlib import contextmanager
from typing import Any

import mmdeploy.core.rewriters.function_rewriter as function_rewriter
from mmdeploy.core.rewriters.function_rewriter import FunctionRewriter
from mmdeploy.core.rewriters.rewriter_utils import import_function

_replace_all: Callable[..., Any] = function_rewriter._replace_all_obj
_enter: Callable[..., Any] = FunctionRewriter.enter
_exit: Callable[..., Any] = FunctionRewriter.exit
# What refers to a function, by the function's id, while the functions of one export are replaced.
_containers: dict[int, list[dict[Any, Any] | MutableSequence[Any]]] = {}


@contextmanager
def _one_search(paths: Iterable[str]) -> Iterator[None]:
    """Find what refers to each of these functions, for the calls of :func:`_replace` inside."""
    functions = []
    for path in set(paths):
        try:
            function, owner = import_function(path)
        except Exception:  # mmdeploy warns of what cannot be imported
            continue
        # A method is replaced in its class alone.
        if owner is None:
            functions.append(function)
    ids = {id(function) for function in functions}
    try:
        for referrer in gc.get_referrers(*functions) if functions else ():
            if referrer is functions or not isinstance(referrer, dict | MutableSequence):
                continue
            values = referrer.values() if isinstance(referrer, dict) else referrer
            for key in ids.intersection(map(id, values)):
                _containers.setdefault(key, []).append(referrer)
        yield
    finally:
        _containers.clear()


def _replace(old: Any, new: Any, ignore_refs: tuple[Any, ...] = (), ignore_keys: tuple[str, ...] = ()) -> None:
    """Replace an object in the dicts and sequences that refer to it, as ``_replace_all_obj`` of mmdeploy does."""
    if id(old) not in _containers:
        _replace_all(old, new, ignore_refs, ignore_keys)
        return
    for container in _containers[id(old)]:
        items = container.items() if isinstance(container, dict) else enumerate(container)
        for key in [key for key, value in items if value is old and key not in ignore_keys]:
            container[key] = new


def _enter_with_one_search(self: FunctionRewriter, cfg: Any = {}, env: Any = {}, **kwargs: Any) -> None:
    """Start rewriting."""
    with _one_search(path for path, _ in self._registry.get_records(env)):
        _enter(self, cfg, env, **kwargs)


def _exit_with_one_search(self: FunctionRewriter) -> None:
    """Put the original functions back."""
    with _one_search(function['func_path'] for function in self._origin_functions):
        _exit(self)


def search_once() -> None:
    """Let mmdeploy's rewriters search once for all functions."""
    function_rewriter._replace_all_obj = _replace  # type: ignore[assignment]  # mmdeploy means tuples of any length
    FunctionRewriter.enter, FunctionRewriter.exit = _enter_with_one_search, _exit_with_one_search  # type: ignore[method-assign]
