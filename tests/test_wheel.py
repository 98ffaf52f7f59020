"""What a user of the built wheel has, without this checkout."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = ('lcnet_mm', 'configs', 'tools', 'setup.py', 'pyproject.toml', 'MANIFEST.in', 'model-index.yml', 'README.md')


@pytest.fixture(scope='module')
def installed(tmp_path_factory) -> Path:
    """The wheel, built from a copy of the sources and installed into a folder of its own."""
    source = tmp_path_factory.mktemp('source')
    for name in SOURCES:
        path = ROOT / name
        skip = shutil.ignore_patterns('__pycache__', '.mim')
        shutil.copytree(path, source / name, ignore=skip) if path.is_dir() else shutil.copy(path, source)
    target = tmp_path_factory.mktemp('installed')
    pip = [sys.executable, '-m', 'pip', '--disable-pip-version-check', 'install', '--quiet', '--no-deps']
    subprocess.run([*pip, '--no-build-isolation', '--target', str(target), str(source)], check=True)
    return target


def run_installed(installed: Path, cwd: Path, code: str) -> str:
    environment = {**os.environ, 'PYTHONPATH': str(installed)}
    result = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, cwd=cwd, env=environment)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_configs_are_found_from_another_project(installed, tmp_path):
    (tmp_path / 'mine.py').write_text(
        "_base_ = 'lcnet_mm::picodet_like/picodet_s_320_coco.py'\nmodel = dict(bbox_head=dict(num_classes=3))\n"
    )
    code = """
import lcnet_mm
from lcnet_mm.apis import load_config
from mmengine.registry import MODELS
print(lcnet_mm.__file__)
model = MODELS.build(load_config('mine.py').model)
print(model.bbox_head.num_classes, sum(p.numel() for p in model.backbone.parameters()))
"""
    output = run_installed(installed, tmp_path, code).splitlines()
    assert output[-2].startswith(str(installed))
    assert output[-1] == '3 584488'


def test_wheel_holds_configs_tools_and_index(installed):
    mim = installed / 'lcnet_mm' / '.mim'
    names = {str(path.relative_to(mim)) for path in mim.rglob('*') if path.is_file()}
    wanted = {str(path.relative_to(ROOT)) for path in (ROOT / 'configs').rglob('*.py')}
    assert wanted <= names
    assert {'model-index.yml', 'configs/picodet_like/metafile.yml', 'tools/train.py'} <= names
    assert not any(name.startswith('tools/setup') for name in names)
