"""What a user of the built wheel has, without this checkout, in environments with nothing but an extra's packages."""

import json
import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = (
    *('lcnet_mm', 'lcnet_launcher.py', 'configs', 'tools', 'setup.py', 'pyproject.toml', 'MANIFEST.in'),
    *('model-index.yml', 'README.md'),
)
PIP = ('-m', 'pip', '--disable-pip-version-check')


def run(python: Path | str, *arguments: object, cwd: Path) -> str:
    """Run a Python that sees neither the checkout nor the tests and return what it printed."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(('PYTHON', 'PYTEST'))}
    command = [str(python), *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment)
    assert result.returncode == 0, f'{result.stdout}\n{result.stderr}'
    return result.stdout


@pytest.fixture(scope='module')
def wheel(tmp_path_factory) -> Path:
    """The wheel, built from a copy of the sources."""
    source = tmp_path_factory.mktemp('source')
    for name in SOURCES:
        path = ROOT / name
        skip = shutil.ignore_patterns('__pycache__', '.mim')
        shutil.copytree(path, source / name, ignore=skip) if path.is_dir() else shutil.copy(path, source)
    target = tmp_path_factory.mktemp('wheel')
    run(sys.executable, *PIP, 'wheel', '-q', '--no-deps', '--no-build-isolation', '-w', target, source, cwd=source)
    (file,) = target.glob('lcnet_mm-*.whl')
    return file


@pytest.fixture(scope='module')
def unpacked(wheel, tmp_path_factory) -> Path:
    """The wheel, installed into a folder of its own."""
    target = tmp_path_factory.mktemp('installed')
    run(sys.executable, *PIP, 'install', '-q', '--no-deps', '--target', target, wheel, cwd=target)
    return target


def test_configs_are_found_from_another_project(unpacked, tmp_path):
    (tmp_path / 'mine.py').write_text(
        "_base_ = 'lcnet_mm::picodet_like/picodet_s_320_coco.py'\nmodel = dict(bbox_head=dict(num_classes=3))\n"
    )
    code = f"""
import sys
sys.path.insert(0, {str(unpacked)!r})
import lcnet_mm
from lcnet_mm.apis import load_config
from lcnet_mm.utils.models import build_model
print(lcnet_mm.__file__)
model = build_model(load_config('mine.py'))
print(model.bbox_head.num_classes, sum(p.numel() for p in model.backbone.parameters()))
"""
    output = run(sys.executable, '-c', code, cwd=tmp_path).splitlines()
    assert output[-2].startswith(str(unpacked))
    assert output[-1] == '3 584488'


def test_wheel_holds_configs_tools_index_and_types(unpacked):
    mim = unpacked / 'lcnet_mm' / '.mim'
    names = {str(path.relative_to(mim)) for path in mim.rglob('*') if path.is_file()}
    wanted = {str(path.relative_to(ROOT)) for path in (ROOT / 'configs').rglob('*.py')}
    assert wanted <= names
    assert {'model-index.yml', 'configs/picodet_like/metafile.yml', 'tools/train.py'} <= names
    assert not any(name.startswith('tools/setup') for name in names)
    assert (unpacked / 'lcnet_mm' / 'py.typed').is_file()
    assert (unpacked / 'lcnet_launcher.py').is_file()


@pytest.fixture(scope='module')
def wheelhouse(tmp_path_factory) -> tuple[Path, Path]:
    """A folder with a wheel of mmcv with its operators, and the versions of this environment as constraints.

    The index has no wheel of mmcv, and pip alone would build one without operators.
    """
    folder = tmp_path_factory.mktemp('wheelhouse')
    version = distribution('mmcv').version
    run(
        sys.executable,
        *PIP,
        'wheel',
        '-q',
        '--no-deps',
        '--no-build-isolation',
        '-w',
        folder,
        f'mmcv=={version}',
        cwd=folder,
    )
    frozen = run(sys.executable, *PIP, 'freeze', '--exclude-editable', cwd=folder)
    constraints = folder / 'constraints.txt'
    constraints.write_text('\n'.join(line for line in frozen.splitlines() if re.match(r'[\w.-]+==', line)))
    return folder, constraints


@pytest.fixture
def environment(request, wheel, wheelhouse, tmp_path):
    """The Python of a new environment with the wheel and one extra, which is deleted afterwards."""
    folder, constraints = wheelhouse
    run(sys.executable, '-m', 'venv', tmp_path / 'venv', cwd=tmp_path)
    python = tmp_path / 'venv' / 'bin' / 'python'
    target = f'{wheel}[{request.param}]' if request.param else str(wheel)
    # mmengine 0.10 and mmdeploy import pkg_resources, which newer setuptools lack.
    packages = [target, *(['setuptools<81'] if request.param != 'runtime' else [])]
    run(python, *PIP, 'install', '-q', '-c', constraints, '--find-links', folder, *packages, cwd=tmp_path)
    yield python
    shutil.rmtree(tmp_path / 'venv')


BACKBONE = """
import torch, lcnet_mm
from lcnet_mm import PPLCNet
features = PPLCNet(widen_factor=0.5).eval()(torch.zeros(1, 3, 64, 96))
print([tuple(feature.shape[1:]) for feature in features])
try:
    import lcnet_mm.detection
except ImportError as error:
    print(error)
"""
DETECTION = """
import torch
from mmdet.testing import demo_mm_inputs
from lcnet_mm.utils.models import build_model
from lcnet_mm.apis import load_config
model = build_model(load_config('lcnet_mm::picodet_like/picodet_xs_320_coco.py'))
batch = demo_mm_inputs(2, (3, 128, 128), num_classes=80)
losses = model(**model.data_preprocessor(batch, True), mode='loss')
model.parse_losses(losses)[0].backward()
print(sorted(losses))
"""
SEGMENTATION = """
import torch
from lcnet_mm.utils.models import build_model
from lcnet_mm.apis import load_config
model = build_model(load_config('lcnet_mm::deeplabv3plus/lcnet_0.5x_cityscapes.py')).eval()
print(tuple(model(torch.zeros(1, 3, 64, 128)).shape))
"""
CLASSIFICATION = """
import torch
from lcnet_mm.utils.models import build_model
from lcnet_mm.apis import load_config
import lcnet_mm.mining
model = build_model(load_config('lcnet_mm::imagenet/pplcnet_0.25x_in1k.py')).eval()
print(tuple(model(torch.zeros(1, 3, 64, 64)).shape))
"""
DEPLOY = """
import numpy, cv2, torch
from lcnet_mm.utils.models import build_model
from lcnet_mm.apis import load_config
cfg = load_config('lcnet_mm::imagenet/pplcnet_0.25x_in1k.py')
torch.save(build_model(cfg).state_dict(), 'w.pth')
cv2.imwrite('image.png', numpy.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=numpy.uint8))
"""
RUNTIME = """
import importlib.util
import lcnet_mm
assert importlib.util.find_spec('torch') is None
try:
    from lcnet_mm import PPLCNet
except ImportError as error:
    print(error)
"""
EXPORT = (
    'deploy',
    'lcnet_mm::deploy/classification_openvino_static-224x224.py',
    'lcnet_mm::imagenet/pplcnet_0.25x_in1k.py',
)
JOBS = {
    'backbone': (BACKBONE, '[(32, 16, 24), (64, 8, 12), (128, 4, 6), (256, 2, 3)]'),
    'detection': (DETECTION, "['loss_bbox', 'loss_dfl', 'loss_vfl']"),
    'segmentation': (SEGMENTATION, '(1, 19, 16, 32)'),
    'classification': (CLASSIFICATION, '(1, 1000)'),
}


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(('environment', 'extra'), [(extra, extra) for extra in JOBS], indirect=['environment'])
def test_extra_alone_does_its_job(environment, extra, tmp_path):
    code, wanted = JOBS[extra]
    output = run(environment, '-W', 'ignore', '-c', code, cwd=tmp_path)
    assert wanted in output
    if extra == 'backbone':
        assert "lcnet_mm.detection needs the package 'mmdet': pip install 'lcnet-mm[detection]'" in output


def export(python: Path | str, folder: Path) -> Path:
    """Export a classifier with random weights and return the folder of the export; ``image.png`` is beside it."""
    run(python, '-W', 'ignore', '-c', DEPLOY, cwd=folder)
    run(python, '-m', 'lcnet_launcher', *EXPORT, 'w.pth', 'image.png', '--work-dir', 'export', cwd=folder)
    return folder / 'export'


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize('environment', ['deploy'], indirect=True)
def test_deploy_extra_exports(environment, tmp_path):
    names = {path.name for path in export(environment, tmp_path).iterdir()}
    assert {'model.json', 'end2end.xml', 'end2end.bin', 'parity.json'} <= names


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize('environment', ['runtime'], indirect=True)
def test_runtime_extra_needs_no_torch(environment, tmp_path):
    folder = export(sys.executable, tmp_path)
    results = []
    for python, out in ((environment, 'theirs'), (sys.executable, 'ours')):
        run(python, '-m', 'lcnet_mm.runtime', folder, 'image.png', '--out', out, cwd=tmp_path)
        (image,) = json.loads((tmp_path / out / 'predictions.json').read_text())['images']
        results.append([(entry['label'], pytest.approx(entry['score'], rel=1e-5)) for entry in image['top']])
    assert results[0] == results[1]
    output = run(environment, '-c', RUNTIME, cwd=tmp_path)
    assert "lcnet_mm.PPLCNet needs the package 'torch': pip install 'lcnet-mm[backbone]'" in output


def test_a_command_without_its_packages_is_one_line(unpacked, tmp_path):
    """What ``lcnet train`` says where only the runtime is installed."""
    code = f"""
import sys
sys.path.insert(0, {str(unpacked)!r})
sys.modules.update(dict.fromkeys(['torch', 'mmengine', 'mmcv']))
sys.argv = ['lcnet', 'train', 'config.py']
import lcnet_launcher
lcnet_launcher.main()
"""
    result = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, cwd=tmp_path)
    assert result.returncode == 1
    assert result.stderr.startswith('error: ')
    assert "pip install 'lcnet-mm[" in result.stderr
    assert len(result.stderr.splitlines()) == 1
