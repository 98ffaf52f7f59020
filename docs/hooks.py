"""Hooks of mkdocs: files outside ``docs/`` as pages, and links that work on the site and in the repository alike."""

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
LINK = re.compile(r'(\]\()([^)\s#:]+)((?:#[^)\s]*)?\))')
# mkdocstrings leaves the roles of reStructuredText in docstrings as they are; a tilde hides the path before the name.
ROLE = re.compile(r':(?:attr|class|data|exc|func|meth|mod):<code>(?:~[\w.]+\.)?([\w.]+)</code>')
CITATION = re.compile(r'(?<![\w/])docs/([\w/]+\.md)(#[\w-]+)?')


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
    if page.file.src_uri.startswith('configs/'):
        # Their tables need the width.
        page.meta['hide'] = ['toc']
    source = Path(page.file.abs_src_path).relative_to(ROOT).as_posix()

    def relink(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), match[2]))
        here = posixpath.dirname(source.removeprefix('docs/')) or '.'
        return match[1] + posixpath.relpath(target.removeprefix('docs/'), here) + match[3]

    return LINK.sub(relink, markdown)


def on_page_content(html: str, *, page: Any, config: MkDocsConfig, files: Files) -> str:
    """Make the docstrings in the API reference readable: roles become code, and citations of pages become links."""
    if not page.file.src_uri.startswith('api/'):
        return html

    def link(match: re.Match[str]) -> str:
        cited = files.get_file_from_path(match[1])
        if cited is None:
            raise PluginError(f'{page.file.src_uri} cites {match[0]}, which does not exist')
        return f'<a href="{cited.url_relative_to(page.file)}{match[2] or ""}">{match[0]}</a>'

    return CITATION.sub(link, ROLE.sub(r'<code>\1</code>', html))
