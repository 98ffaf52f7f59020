"""docs/commands.md lists exactly the commands of ``lcnet``, and the guides name only what exists."""

import re
from pathlib import Path

import pytest

from lcnet_mm.cli import COMMANDS

ROOT = Path(__file__).parents[2]
TEXTS = [*ROOT.glob('*.md'), *ROOT.glob('docs/**/*.md'), *ROOT.glob('configs/*/README.md')]


def test_every_command_has_a_row():
    text = (ROOT / 'docs' / 'commands.md').read_text(encoding='utf-8')
    assert re.findall(r'^\| `lcnet ([\w-]+)`', text, re.MULTILINE) == list(COMMANDS)
    starters = {}
    for path in (ROOT / 'tools').glob('*.py'):
        if command := re.search(r"run_tool\('([\w-]+)'\)", path.read_text(encoding='utf-8')):
            starters[command[1]] = f'tools/{path.name}'
    assert dict(re.findall(r'^\| `lcnet ([\w-]+)` \|.*?\| `(tools/\w+\.py)`', text, re.MULTILINE)) == starters


@pytest.mark.parametrize('path', TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_in_the_texts_exist(path):
    text = path.read_text(encoding='utf-8')
    commands = re.findall(r'^(?:\$ )?lcnet ([a-z-]+)', text, re.MULTILINE)
    assert set(commands) <= set(COMMANDS)
    named = set(re.findall(r'(?<!/)\btools/\w+\.(?:py|sh)\b', text))
    if path.name != 'CHANGELOG.md':
        assert not [name for name in named if not (ROOT / name).exists()]


@pytest.mark.parametrize('path', TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_configs_in_the_texts_exist(path):
    """Paths of configs that are written out whole, without a pattern in them."""
    named = re.findall(r'(?<!/)\bconfigs/[\w./-]+\.py\b', path.read_text(encoding='utf-8'))
    assert not [name for name in named if not (ROOT / name).exists()]
