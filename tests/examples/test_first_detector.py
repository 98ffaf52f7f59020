"""The guide "Your first detector" and its notebook run as they stand, with less data and a shorter training."""

import json
import os
import re
import sys
from pathlib import Path

import pytest

from lcnet_mm.cli import COMMANDS

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / 'docs' / 'first_detector.md'
NOTEBOOK = ROOT / 'examples' / 'first_detector.ipynb'
# What makes the commands of the guide short: of each, what is replaced and by what.
SHORTER = {
    '--train 400 --val 60': '--train 16 --val 4',
    # The published weights are not here. Without a threshold an untrained net finds something to evaluate.
    '--patience 5': '--patience 5 --cfg-options load_from=None train_cfg.max_epochs=2 train_cfg.val_interval=1 '
    'model.test_cfg.score_thr=0.0',
    '--report work_dirs/report': '--report work_dirs/report --cfg-options model.test_cfg.score_thr=0.0',
    # All scores of an untrained net are nearly equal, so that after NMS there is nothing to compare.
    'detection_openvino_static-320x320': 'detection-raw_openvino_static-320x320',
    '--out work_dirs/results': '--out work_dirs/results --score-thr 0.0',
}
needs_commands = pytest.mark.skipif(
    not {'data', 'init'} <= set(COMMANDS), reason='lcnet data convert and lcnet init are not there'
)


def guide_commands() -> list[str]:
    return [block.strip() for block in re.findall(r'```bash\n(.*?)```', GUIDE.read_text(), re.DOTALL)]


def shorter(text: str) -> str:
    for part, replacement in SHORTER.items():
        text = text.replace(part, replacement)
    return text


@pytest.fixture
def environment(tmp_path):
    """Environment variables in which ``lcnet`` and ``python`` are those of this process."""
    binaries = tmp_path / 'bin'
    binaries.mkdir()
    for name, command in (('lcnet', '-m lcnet_mm'), ('python', '')):
        (binaries / name).write_text(f'#!/bin/sh\nexec {sys.executable} {command} "$@"\n')
        (binaries / name).chmod(0o755)
    paths = [str(ROOT), *sys.path, os.environ.get('PYTHONPATH', '')]
    return os.environ | dict(
        PATH=f'{binaries}:{os.environ["PATH"]}', PYTHONPATH=os.pathsep.join(path for path in paths if path)
    )


def test_the_notebook_has_the_commands_of_the_guide():
    cells = [cell for cell in json.loads(NOTEBOOK.read_text())['cells'] if cell['cell_type'] == 'code']
    commands = [cell['source'].removeprefix('%%bash\nset -e\n') for cell in cells if '%%bash' in cell['source']]
    assert commands == guide_commands() and len(commands) == 7
    assert not any(cell['outputs'] for cell in cells)


def test_what_makes_the_guide_shorter_is_in_it():
    text = '\n'.join(guide_commands())
    assert all(text.count(part) == 1 for part in SHORTER)


@needs_commands
@pytest.mark.slow
def test_the_notebook_runs(environment, tmp_path, monkeypatch):
    nbformat = pytest.importorskip('nbformat')
    nbclient = pytest.importorskip('nbclient')
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    for cell in notebook.cells:
        cell.source = shorter(cell.source)
    for name in ('PATH', 'PYTHONPATH'):
        monkeypatch.setenv(name, environment[name])
    client = nbclient.NotebookClient(notebook, timeout=500, resources=dict(metadata=dict(path=str(tmp_path))))
    client.execute()
    work_dir = tmp_path / 'work_dirs' / 'my_detector'
    assert (work_dir / 'curves.png').is_file() and list(work_dir.glob('best_*.pth'))
    assert list((tmp_path / 'work_dirs' / 'report').glob('*.html'))
    predictions = json.loads((tmp_path / 'work_dirs' / 'results' / 'predictions.json').read_text())
    assert len(predictions['images']) == 4
    # The curves and a prediction are shown.
    shown = [output for cell in notebook.cells if cell.cell_type == 'code' for output in cell.outputs]
    assert sum(any(kind.startswith('image/') for kind in output.get('data', {})) for output in shown) == 2
