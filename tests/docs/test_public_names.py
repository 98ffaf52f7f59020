"""The API reference in docs/api shows exactly the public names: what each package lists in ``__all__``."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Not for users: what all layers share, and the command line, which docs/commands.md describes.
INTERNAL = {'lcnet_mm.utils', 'lcnet_mm.cli'}
# A name is described by mkdocstrings, or it is a link to the package where it is described, or a line of text.
ENTRY = re.compile(r'^(?:::: |- \[?`)(lcnet_mm[\w.]*)', re.MULTILINE)


def listed_names(init: Path) -> set[str]:
    """Return the names in all ``__all__`` of a file; some depend on what is installed.

    The file is read and not imported, so that the test needs no mm package.
    """
    names: set[str] = set()
    for node in ast.walk(ast.parse(init.read_text(encoding='utf-8'))):
        if isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(isinstance(target, ast.Name) and target.id == '__all__' for target in targets):
                assert node.value is not None
                names.update(ast.literal_eval(node.value))
    return names


def public_names(root: Path) -> dict[str, set[str]]:
    """Return the full public names of ``lcnet_mm`` and of each package directly in it."""
    result = {}
    for init in [root / 'lcnet_mm' / '__init__.py', *sorted((root / 'lcnet_mm').glob('*/__init__.py'))]:
        package = '.'.join(init.parent.relative_to(root).parts)
        if package not in INTERNAL:
            result[package] = {f'{package}.{name}' for name in listed_names(init)}
    return result


def documented_names(root: Path) -> dict[str, str]:
    """Return the names that the pages of the API reference describe, and the page of each."""
    result: dict[str, str] = {}
    for page in sorted((root / 'docs' / 'api').glob('*.md')):
        for name in ENTRY.findall(page.read_text(encoding='utf-8')):
            assert name not in result, f'{name} is described twice: in {result[name]} and in {page.name}'
            result[name] = page.name
    return result


def page_of(name: str) -> str:
    """Return the page that a public name belongs to."""
    package = name.split('.')[1:-1]
    return f'{package[0]}.md' if package else 'index.md'


def differences(public: dict[str, set[str]], documented: dict[str, str]) -> list[str]:
    """Return what to change in docs/api, one line each."""
    names = set().union(*public.values())
    lines = [f'docs/api/{page_of(name)}: add the line "::: {name}"' for name in sorted(names - documented.keys())]
    for name in sorted(documented.keys() - names):
        package = name.rpartition('.')[0]
        lines.append(f'docs/api/{documented[name]}: remove {name}, or add it to __all__ of {package}')
    lines += [
        f'docs/api/{page}: move {name} to {page_of(name)}'
        for name, page in sorted(documented.items())
        if name in names and page != page_of(name)
    ]
    return lines


def test_api_reference_shows_exactly_the_public_names():
    found = differences(public_names(ROOT), documented_names(ROOT))
    assert not found, '\n' + '\n'.join(found)


@pytest.mark.parametrize('package', public_names(ROOT))
def test_every_package_says_what_is_public(package):
    assert public_names(ROOT)[package], f'{package}/__init__.py has no __all__'


def test_every_page_of_the_reference_is_in_the_navigation():
    navigation = (ROOT / 'mkdocs.yml').read_text(encoding='utf-8')
    assert not [page.name for page in (ROOT / 'docs' / 'api').glob('*.md') if f' api/{page.name}\n' not in navigation]


def test_differences_are_reported(tmp_path):
    """The check itself, on a package with one name too many, one too few, and one on the wrong page."""
    (tmp_path / 'lcnet_mm' / 'engine').mkdir(parents=True)
    (tmp_path / 'lcnet_mm' / '__init__.py').write_text("if True:\n    __all__ = ['A']\nelse:\n    __all__ = []\n")
    (tmp_path / 'lcnet_mm' / 'engine' / '__init__.py').write_text("__all__ = ['New', 'Kept']\n__all__ += ['Moved']\n")
    (tmp_path / 'docs' / 'api').mkdir(parents=True)
    (tmp_path / 'docs' / 'api' / 'index.md').write_text('- [`lcnet_mm.A`][x]\n\n::: lcnet_mm.engine.Moved\n')
    (tmp_path / 'docs' / 'api' / 'engine.md').write_text('::: lcnet_mm.engine.Kept\n\n::: lcnet_mm.engine.Old\n')
    assert differences(public_names(tmp_path), documented_names(tmp_path)) == [
        'docs/api/engine.md: add the line "::: lcnet_mm.engine.New"',
        'docs/api/engine.md: remove lcnet_mm.engine.Old, or add it to __all__ of lcnet_mm.engine',
        'docs/api/index.md: move lcnet_mm.engine.Moved to engine.md',
    ]
