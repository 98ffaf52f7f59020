"""mmdeploy's replacement of functions, with one search for all of them."""

import sys
from collections import Counter

from mmdeploy.core import RewriterContext
from mmdeploy.core.rewriters import function_rewriter
from mmdeploy.core.rewriters.function_rewriter import FunctionRewriter

from lcnet_mm.deploy import rewriting


def functions_of_modules() -> dict[tuple[str, str], int]:
    """The ids of the functions that the names in modules and in their classes stand for.

    Ids, because a dict of the functions would be one more place where mmdeploy replaces them.
    """
    found: dict[tuple[str, str], int] = {}
    for name, module in list(sys.modules.items()):
        if name.startswith(('copy', 'lcnet_mm', 'mm', 'torch')):
            for key, value in list(vars(module).items()):
                if isinstance(value, type) and value.__module__ == name:
                    found |= {(f'{name}.{key}', k): id(v) for k, v in list(vars(value).items()) if callable(v)}
                elif callable(value):
                    found[name, key] = id(value)
    return found


def replaced() -> set[tuple[str, str]]:
    """Names that stand for another function while mmdeploy rewrites; the originals must be back after it."""
    before = functions_of_modules()
    with RewriterContext({}, backend='openvino'):
        inside = functions_of_modules()
    after = functions_of_modules()
    assert all(after[name] == value for name, value in before.items())
    return {name for name, value in before.items() if inside[name] != value}


def test_the_same_functions_are_replaced_as_by_mmdeploy(monkeypatch):
    with RewriterContext({}, backend='openvino'):
        # The modules of the functions are imported here.
        pass
    found = replaced()
    assert not rewriting._containers
    with monkeypatch.context() as original:
        original.setattr(function_rewriter, '_replace_all_obj', rewriting._replace_all)
        original.setattr(FunctionRewriter, 'enter', rewriting._enter)
        original.setattr(FunctionRewriter, 'exit', rewriting._exit)
        assert found == replaced()
    assert len(found) > 20
    # Some under the names by which other modules have imported them.
    places = Counter(name for module, name in found if module in sys.modules)
    assert places['deepcopy'] > 10 and places['point_sample'] > 1


def test_objects_are_searched_once_when_it_starts_and_once_when_it_ends(monkeypatch):
    searches = []

    class Collector:
        @staticmethod
        def get_referrers(*objects: object) -> list[object]:
            searches.append(len(objects))
            return gc.get_referrers(*objects)

    gc = rewriting.gc
    monkeypatch.setattr(rewriting, 'gc', Collector)
    monkeypatch.setattr(rewriting, '_replace_all', lambda *_: searches.append(-1))
    with RewriterContext({}, backend='openvino'):
        pass
    assert len(searches) == 2 and min(searches) > 5
