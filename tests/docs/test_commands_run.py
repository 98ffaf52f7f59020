"""Every command of the texts is executed by a test, or marked as needing what is not here; all are valid.

A comment before a block of commands says which:

``<!-- needs: COCO in data/coco -->``
    data, files of the internet, or hours; the arguments are only parsed
``<!-- run: tests/test_x.py -->``
    a test that runs the same commands on data of its own

A block without a comment is run here as it stands, so it needs nothing but the package.
"""

import argparse
import re
import shlex
from importlib import import_module
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import pytest
from run_tool import run_tool

from lcnet_mm.cli import COMMANDS
from lcnet_mm.runtime import __main__ as runtime

ROOT = Path(__file__).parents[2]
TEXTS = [*ROOT.glob('*.md'), *ROOT.glob('docs/**/*.md'), *ROOT.glob('configs/*/README.md')]
TOOLS = {
    command[1]: path.name
    for path in (ROOT / 'tools').glob('*.py')
    if (command := re.search(r"run_tool\('([\w-]+)'\)", path.read_text(encoding='utf-8')))
}
# Of the shell and of other projects; only our own commands are parsed.
FOREIGN = (
    *('source ', 'pip ', 'cd ', 'export ', 'docker ', 'gst-launch-1.0 '),
    *('python ../mmdeploy/', 'python examples/'),
)
_BLOCK = re.compile(r'(?:^ *<!-- *(needs|run): *(.*?) *--> *\n)?^( *)```(\w*)\n(.*?)^ *```', re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """Commands of a text, what the comment before them says, and where they are."""

    mark: str
    reason: str
    commands: tuple[str, ...]
    place: str


def blocks_of(text: str, name: str = '') -> list[Block]:
    """Find the blocks of commands: those of a shell, and others whose lines begin with a command of this package."""
    found = []
    for match in _BLOCK.finditer(text):
        lines = match[5].replace('\\\n', ' ').splitlines()
        # A comment is not in quotes here.
        commands = [re.sub(r'(^|\s)#.*', '', line).strip().removeprefix('$ ') for line in lines]
        commands = [' '.join(command.split()) for command in commands if command]
        own = any(re.match(r'(lcnet|make|(bash )?tools/\S+|python\S* (-m|tools/))\s', command) for command in commands)
        if commands and (match[4] in ('bash', 'sh', 'shell', 'console') or (not match[4] and own)):
            place = f'{name}:{text[: match.start(4)].count(chr(10)) + 1}'
            found.append(Block(match[1] or '', match[2] or '', tuple(commands), place))
    return found


BLOCKS = [block for path in TEXTS for block in blocks_of(path.read_text(encoding='utf-8'), str(path.relative_to(ROOT)))]
MAKE_TARGETS = set(re.findall(r'^([a-z-]+):.*## ', (ROOT / 'Makefile').read_text(), re.MULTILINE))


def parse(command: str) -> None:
    """Parse a command as the program does, without running it."""
    words = shlex.split(command)
    while re.fullmatch(r'[A-Z_]+=\S*', words[0]) or words[0] == 'bash':
        words = words[1:]
    if '>' in words:
        words = words[: words.index('>')]
    if words[0] == 'lcnet':
        parse_lcnet(words[1], words[2:])
    elif words[0] == 'make':
        assert {word for word in words[1:] if '=' not in word} <= MAKE_TARGETS
    elif words[0] == 'tools/dist_train.sh':
        assert words[2].isdigit()
        parse_lcnet('train', [words[1], *words[3:]])
    elif words[:3] == ['python', '-m', 'lcnet_mm.runtime']:
        # It parses and then looks for the model, which is not here.
        with mock.patch('sys.argv', ['runtime', *words[3:]]), pytest.raises(runtime.UserError, match='does not exist'):
            runtime.main()
    elif 'lcnet_mm' in words:
        # After torchrun or srun.
        rest = words[words.index('lcnet_mm') + 1 :]
        parse_lcnet(rest[0], rest[1:])
    else:
        raise ValueError(f'no test knows this command: {command}')


def parse_lcnet(name: str, arguments: list[str]) -> None:
    assert name in COMMANDS, name
    module = import_module(f'lcnet_mm.cli.{name.replace("-", "_")}')
    parser = argparse.ArgumentParser(name, exit_on_error=False)
    module.add_arguments(parser)
    parser.parse_args(arguments)


@pytest.mark.parametrize('block', BLOCKS, ids=lambda block: block.place)
def test_commands_are_valid(block):
    for command in block.commands:
        if not command.startswith(FOREIGN):
            parse(command)


@pytest.mark.parametrize('block', BLOCKS, ids=lambda block: block.place)
def test_commands_are_run_or_marked(block, tmp_path):
    if block.mark == 'needs':
        assert block.reason, 'say what the commands need'
    elif block.mark == 'run':
        files = [ROOT / name for name in block.reason.split(', ')]
        text = ' '.join(file.read_text(encoding='utf-8') for file in files)
        for command in block.commands:
            # Which of the names of a command a test runs: lcnet test, tools/test.py, dist_train.sh, mine, runtime.
            found = re.search(r'\blcnet(?:_mm)? ([a-z-]+)|(dist_train\.sh)|lcnet_mm\.(runtime)', command)
            assert found is not None, command
            name = next(filter(None, found.groups()))
            known = {name, TOOLS.get(name, name)}
            assert 'guide_commands()' in text or any(name in text for name in known), (command, block.reason)
    else:
        for command in block.commands:
            name, *arguments = shlex.split(command)
            assert name == 'lcnet', f'{block.place}: mark the block as needing something, or name the test that runs it'
            result = run_tool(TOOLS[arguments[0]], *arguments[1:], cwd=tmp_path)
            assert result.returncode == 0, f'{block.place}: {command}: {result.stderr}'


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        ('```bash\nlcnet train a.py \\\n    --amp  # twice\n```', ('', '', ('lcnet train a.py --amp',))),
        ('<!-- needs: COCO -->\n```bash\nmake demo\n```', ('needs', 'COCO', ('make demo',))),
        ('<!-- run: tests/a.py -->\n```\nlcnet test a b\n```', ('run', 'tests/a.py', ('lcnet test a b',))),
        ('```\nsome output\n```', None),
        ('```python\nlcnet train\n```', None),
    ],
)
def test_blocks_are_found(text, expected):
    found = [block[:3] for block in blocks_of(text)]
    assert found == ([expected] if expected else [])


def test_unmarked_and_invalid_commands_are_found(tmp_path):
    (unmarked,) = blocks_of('```bash\nlcnet train no_such_config.py\n```')
    with pytest.raises(AssertionError, match='does not exist'):
        test_commands_are_run_or_marked(unmarked, tmp_path)
    (unmarked,) = blocks_of('```bash\nmake demo\n```')
    with pytest.raises(AssertionError, match='mark the block'):
        test_commands_are_run_or_marked(unmarked, tmp_path)
    with pytest.raises(SystemExit):
        parse('lcnet train my_config.py --no-such-option')
    with pytest.raises(ValueError, match='no test knows'):
        parse('frobnicate')
