"""Citations of docs/specification in code, configs, tests and documents."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SPECIFICATION = ROOT / 'docs' / 'specification'
CITATION = re.compile(r'\bdocs/specification/([\w-]+\.md)#([\w-]+)')
LINK = re.compile(r'\]\(([\w-]+\.md)?#([\w-]+)\)')
HEADING = re.compile(r'^##+ .+$', re.MULTILINE)
ANCHOR = re.compile(r'^##+ .+ \{#([\w-]+)\}$', re.MULTILINE)
SECTION_SIGN = '\N{SECTION SIGN}'


def tracked_texts() -> Iterator[tuple[str, str]]:
    """Yield path and text of each text file that belongs to the repository."""
    command = ['git', 'ls-files', '-z', '--cached', '--others', '--exclude-standard']
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split('\0')):
        path = ROOT / name
        # A file that is deleted but not yet committed is listed too.
        if path.is_file():
            try:
                yield name, path.read_text(encoding='utf-8')
            except UnicodeDecodeError:
                continue


def missing_targets(targets: list[tuple[str, str]], specification: Path) -> list[str]:
    """Return those of the pairs of a page and an anchor that do not exist, as ``PAGE#ANCHOR``."""
    pages = {page.name: ANCHOR.findall(page.read_text(encoding='utf-8')) for page in specification.glob('*.md')}
    return [f'{page}#{anchor}' for page, anchor in targets if anchor not in pages.get(page, ())]


def test_every_citation_has_a_target():
    texts = list(tracked_texts())
    citations = {name: CITATION.findall(text) for name, text in texts}
    assert sum(len(targets) for targets in citations.values()) > 80
    broken = {name: missing_targets(targets, SPECIFICATION) for name, targets in citations.items()}
    assert not {name: targets for name, targets in broken.items() if targets}


def test_no_citation_by_number():
    assert not [name for name, text in tracked_texts() if SECTION_SIGN in text]


@pytest.mark.parametrize('page', sorted(page.name for page in SPECIFICATION.glob('*.md')))
def test_pages(page):
    text = (SPECIFICATION / page).read_text(encoding='utf-8')
    anchors = ANCHOR.findall(text)
    assert len(anchors) == len(HEADING.findall(text)), 'a heading has no anchor of its own'
    assert len(anchors) == len(set(anchors)), 'two headings have the same anchor'
    links = [(target or page, anchor) for target, anchor in LINK.findall(text)]
    assert not missing_targets(links, SPECIFICATION)


def test_wrong_citations_are_reported(tmp_path):
    """The check itself: it finds an anchor and a page that do not exist, and nothing else."""
    (tmp_path / 'page.md').write_text('# Page\n\n## Losses {#losses}\n\nThe text says {#loose}.\n')
    folder = 'docs/specification'
    comment = f'# As in {folder}/page.md#losses, {folder}/page.md#loose and ({folder}/other.md#losses).'
    targets = CITATION.findall(comment)
    assert targets == [('page.md', 'losses'), ('page.md', 'loose'), ('other.md', 'losses')]
    assert missing_targets(targets, tmp_path) == ['page.md#loose', 'other.md#losses']
