"""``lcnet`` itself: its help, the commands behind the files of ``tools/``, and exit codes as the shell sees them."""

import contextlib
import io
import os
import re
import signal
import subprocess
import sys

import pytest
from run_tool import ROOT, assert_one_line_error, command_of, run_tool, run_tool_process

import lcnet_mm.cli
from lcnet_mm.cli import COMMANDS, main
from lcnet_mm.utils import optional

CONFIG = 'configs/picodet_like/lcnet_0.5x_coco.py'
STARTERS = {name: command for path in (ROOT / 'tools').glob('*.py') if (command := command_of(name := path.name))}


def lcnet(*arguments: str) -> tuple[object, str, str]:
    """Run ``lcnet`` in this process; returns its exit code, output and errors."""
    output, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors), pytest.raises(SystemExit) as end:
        main(arguments)
    return end.value.code or 0, output.getvalue(), errors.getvalue()


def test_every_command_has_a_tool():
    assert sorted(STARTERS.values()) == sorted(COMMANDS)


def test_help_lists_the_commands_and_says_where_configs_are():
    code, output, _ = lcnet('--help')
    assert code == 0
    assert re.findall(r'^  ([\w-]+)  +(.*)$', output.partition('commands:')[2], re.MULTILINE) == [
        (name, command.summary) for name, command in COMMANDS.items()
    ]
    text = ' '.join(output.split())
    assert 'lcnet_mm::picodet_like/lcnet_1x_coco.py' in text and 'taken from the installed package' in text
    assert 'example: lcnet demo' in text


@pytest.mark.parametrize('command', COMMANDS)
def test_help_of_a_command(command):
    code, output, _ = lcnet(command, '--help')
    assert code == 0 and f'example: lcnet {command} ' in output
    # Every argument is described.
    for line in re.findall(r'^  (?:-|[a-zA-Z]).*$', output.partition('\noptions:')[0], re.MULTILINE):
        assert line.startswith('  -') or len(line.split()) > 1 or line.strip() in output


def test_mistakes_in_the_command_itself():
    code, _, errors = lcnet('trian')
    assert code == 2 and "'trian'" in errors and "'train'" in errors
    code, _, errors = lcnet('complexity')
    assert code == 2 and errors.startswith('usage: lcnet complexity') and 'CONFIG' in errors
    code, _, errors = lcnet('complexity', 'none.py')
    assert code == 1 and errors == 'error: config none.py does not exist\n'


@pytest.mark.parametrize(
    ('message', 'expected'),
    [
        ('rounds must be at least 2', '--rounds must be at least 2'),
        ('5 images, and max_drop 1 allows 2', '5 images, and --max-drop 1 allows 2'),
        # Words that only look like an argument.
        ('the rounds of max_drops', 'the rounds of max_drops'),
        ('rounds.py and runs/max_drop/a.pth', 'rounds.py and runs/max_drop/a.pth'),
        ('lower model.test_cfg.max_drop', 'lower model.test_cfg.max_drop'),
    ],
)
def test_messages_name_options(message, expected):
    assert lcnet_mm.cli._name_options(message, 'usage: lcnet x [--rounds N] [--max-drop X] IMAGE') == expected


def test_version():
    code, output, _ = lcnet('--version')
    assert code == 0 and output == f'lcnet-mm {lcnet_mm.__version__}\n'


def test_a_missing_extra_is_one_line(monkeypatch):
    monkeypatch.setattr(optional, 'installed', lambda package: package != 'mmdeploy')
    code, _, errors = lcnet('deploy', '--help')
    assert code == 1
    assert errors == "error: lcnet deploy needs the package 'mmdeploy': pip install 'lcnet-mm[deploy]'\n"


def test_installed_configs_serve_any_folder(tmp_path):
    """Somebody with the wheel has the configs of the documents, and a local file of the same name wins."""
    for name in (CONFIG, 'lcnet_mm::picodet_like/lcnet_0.5x_coco.py'):
        result = run_tool('complexity.py', name, cwd=tmp_path)
        assert result.returncode == 0 and '0.4188' in result.stdout, result.stderr
    (tmp_path / CONFIG).parent.mkdir(parents=True)
    (tmp_path / CONFIG).write_text("custom_imports = dict(imports=['lcnet_mm'])\nmodel = dict(type='PPLCNet')\n")
    assert '0.4188' not in run_tool('complexity.py', CONFIG, cwd=tmp_path).stdout
    assert_one_line_error(run_tool('complexity.py', 'configs/none.py', cwd=tmp_path), 'configs/none.py does not exist')


# What only a process of its own shows.


def test_exit_code_and_standard_error_of_a_process(tmp_path):
    result = run_tool_process('complexity.py', 'none.py', cwd=tmp_path)
    assert (result.returncode, result.stdout) == (1, '')
    assert_one_line_error(result, 'none.py does not exist')


def test_python_m_runs_the_same_command(tmp_path):
    command = [sys.executable, '-m', 'lcnet_mm', 'check', tmp_path / 'none.json']
    result = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=120)
    assert result.returncode == 1
    assert_one_line_error(result, 'none.json does not exist')


def test_help_loads_no_library_of_a_command():
    code = """
import sys, lcnet_launcher
sys.argv = ['lcnet', '--help']
try:
    lcnet_launcher.main()
finally:
    heavy = {'mmdet', 'mmseg', 'mmpretrain', 'mmdeploy', 'openvino', 'sklearn', 'timm'} & set(sys.modules)
    assert not heavy, heavy
"""
    result = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, cwd=ROOT, timeout=120)
    assert result.returncode == 0 and 'AssertionError' not in result.stderr, result.stderr


def test_interruption(tmp_path):
    """Ctrl-C ends a command with one word and the exit code 130."""
    command = [sys.executable, 'tools/make_demo_data.py', tmp_path / 'digits', '--train', '5000']
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        bufsize=0,
        env={**os.environ, 'COLUMNS': '80'},
    )
    try:
        # The progress bar shows that it is at work.
        seen = b''
        while b'%' not in seen and (part := process.stderr.read(64)):
            seen += part
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
        assert process.wait(60) == 130
    finally:
        process.kill()
    assert b'Traceback' not in seen + rest and rest.decode().splitlines()[-1] == 'interrupted'
