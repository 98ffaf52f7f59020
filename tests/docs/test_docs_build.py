"""The documentation builds strictly, with no connection to the internet, and asks a browser for none."""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

pytest.importorskip('mkdocs', reason='mkdocs is not installed: pip install -r requirements/docs.txt')
pytest.importorskip('mkdocstrings', reason='mkdocstrings is not installed: pip install -r requirements/docs.txt')

ROOT = Path(__file__).parents[2]
# Attributes from which a browser loads something by itself; a link is followed only by the user.
LOADING = {'script': 'src', 'img': 'src', 'iframe': 'src', 'source': 'src', 'link': 'href'}
NO_NETWORK = """
import socket, sys

def refuse(*args, **kwargs):
    raise OSError('the build of the documentation asked for a connection')

socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
from mkdocs.__main__ import cli
cli()
"""


@pytest.fixture(scope='module')
def site(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp('docs') / 'site'
    command = [sys.executable, '-c', NO_NETWORK, 'build', '--strict', '--site-dir', str(folder)]
    environment = {**os.environ, 'NO_MKDOCS_2_WARNING': '1'}
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return folder


class Addresses(HTMLParser):
    """Collects what a page loads, what it links to, and the anchors that it has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.anchors.update(filter(None, (attributes.get('id'), attributes.get('name'))))
        if value := attributes.get(LOADING.get(tag, '')):
            self.loaded.append(value)
        if tag == 'a' and (value := attributes.get('href')):
            self.links.append(value)


@pytest.fixture(scope='module')
def pages(site) -> dict[Path, Addresses]:
    return {path: Addresses(path.read_text(encoding='utf-8')) for path in site.rglob('*.html')}


def test_a_page_per_job(site):
    for name in ('install', 'detection', 'segmentation', 'classification', 'deploy', 'latency', 'weights', 'backbone'):
        assert (site / f'{name}.html').is_file(), name
    for name in ('CHANGELOG', 'CONTRIBUTING', 'specification/index', 'api/index', 'architecture', 'commands'):
        assert (site / f'{name}.html').is_file(), name
    for readme in (ROOT / 'configs').glob('*/README.md'):
        page = site / 'configs' / readme.parent.name / 'index.html'
        tables = page.read_text(encoding='utf-8').count('<table>')
        assert tables >= readme.read_text(encoding='utf-8').count('<!-- table: ') > 0, readme


def test_nothing_is_loaded_from_elsewhere(site, pages):
    foreign = {str(path): [url for url in page.loaded if urlsplit(url).netloc] for path, page in pages.items()}
    assert not {path: urls for path, urls in foreign.items() if urls}
    for path in site.glob('**/*.css'):
        assert not re.search(r'url\([\'"]?(https?:)?//', path.read_text(encoding='utf-8')), path
    for path in site.glob('diagrams/*.svg'):
        assert 'href' not in path.read_text(encoding='utf-8')


def test_links_between_pages_have_targets(site, pages):
    """mkdocs checks links of the sources; this one sees those that hooks and mkdocstrings wrote, too."""
    broken = []
    for path, page in pages.items():
        for url in [*page.links, *page.loaded]:
            parts = urlsplit(url)
            if parts.scheme or parts.netloc or path.name == '404.html':
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / 'index.html' if target.is_dir() else target
            anchors = pages[target].anchors if target in pages else set()
            if not target.is_file() or (parts.fragment and target in pages and unquote(parts.fragment) not in anchors):
                broken.append(f'{path.relative_to(site)}: {url}')
    assert not broken, '\n'.join(broken)


def test_docstrings_show_no_markup_of_other_tools(site):
    for path in (site / 'api').glob('*.html'):
        assert not re.search(r':(class|func|meth|mod|data|attr):', path.read_text(encoding='utf-8')), path
