"""Hooks of mkdocs: files outside ``docs/`` as pages, and links that work on the site and in the repository alike."""

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
LINK = re.compile(r'(\]\()([^)\s#:]+)((?:#[^)\s]*)?\))')
# mkdocstrings leaves the roles of reStructuredText in docstrings as they are; a tilde hides the path before the name.
ROLE = re.compile(r':(?:attr|class|data|exc|func|meth|mod):<code>(?:~[\w.]+\.)?([\w.]+)</code>')


def outside_pages() -> Iterator[Path]:
    """Yield the files outside ``docs/`` that are pages of the site."""
    yield ROOT / 'CHANGELOG.md'
    yield ROOT / 'CONTRIBUTING.md'
    yield from sorted((ROOT / 'configs').glob('*/README.md'))


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the pages from outside ``docs/``, at the path that they have in the repository."""
    for path in outside_pages():
        files.append(File.generated(config, path.relative_to(ROOT).as_posix(), abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, *, page: Any, config: MkDocsConfig, files: Files) -> str:
    """Turn links between files of the repository into links between pages of the site.

    A page in ``docs/`` has lost the first folder of its path, so a link from or to one has to be computed again.
    """
    source = Path(page.file.abs_src_path).relative_to(ROOT).as_posix()

    def relink(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), match[2]))
        here = posixpath.dirname(source.removeprefix('docs/')) or '.'
        return match[1] + posixpath.relpath(target.removeprefix('docs/'), here) + match[3]

    return LINK.sub(relink, markdown)


def on_page_content(html: str, *, page: Any, config: MkDocsConfig, files: Files) -> str:
    """Show what a role of reStructuredText names as code."""
    return ROLE.sub(r'<code>\1</code>', html)
