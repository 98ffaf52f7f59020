"""OpenVINO and NNCF report nothing to anybody, and a quantization does not wait for the internet."""

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from deploy_cases import CLASSIFIER
from mmengine.config import Config

from lcnet_mm.utils.models import build_model

ROOT = Path(__file__).parents[2]
# Nothing of pytest and of a CI, which switch telemetry off by themselves.
KEPT = ('PATH', 'LD_LIBRARY_PATH', 'TMPDIR')


@pytest.fixture
def environment(tmp_path) -> dict[str, str]:
    """The environment of a user who has just logged in, with an empty home."""
    (tmp_path / 'home').mkdir()
    return {name: os.environ[name] for name in KEPT if name in os.environ} | {'HOME': str(tmp_path / 'home')}


@pytest.fixture
def classifier(tmp_path) -> list[Path]:
    """A config, a checkpoint with random weights, an image, and a folder of images by class."""
    images = tmp_path / 'images'
    random = np.random.default_rng(0)
    for label in range(2):
        (images / str(label)).mkdir(parents=True)
        for index in range(4):
            image = random.integers(0, 256, (64, 64, 3), dtype=np.uint8)
            cv2.imwrite(str(images / str(label) / f'{index}.png'), image)
    pipeline = [dict(type='LoadImageFromFile'), dict(type='PackInputs')]
    cfg = Config(CLASSIFIER)
    cfg.data_preprocessor.num_classes = cfg.model.head.num_classes = 2
    cfg.test_pipeline = pipeline
    cfg.test_dataloader = dict(
        batch_size=4,
        num_workers=0,
        sampler=dict(type='DefaultSampler', shuffle=False),
        dataset=dict(type='CustomDataset', data_root=str(images), pipeline=pipeline),
    )
    cfg.test_evaluator = dict(type='Accuracy', topk=(1,))
    cfg.test_cfg = dict()
    model = build_model(cfg)
    torch.save(dict(state_dict=model.state_dict(), meta={}), tmp_path / 'weights.pth')
    (tmp_path / 'config.py').write_text(cfg.pretty_text)
    return [tmp_path / 'config.py', tmp_path / 'weights.pth', images / '0' / '0.png', images]


def test_int8_of_a_command_ends_and_reports_nothing(environment, classifier, tmp_path):
    config, checkpoint, image, images = classifier
    command = [
        *(
            sys.executable,
            '-W',
            'ignore',
            'tools/deploy.py',
            'configs/deploy/classification_openvino_static-224x224.py',
        ),
        *(config, checkpoint, image, '--input-size', 64, 64, '--work-dir', tmp_path / 'out'),
        *('--int8', '--calib', images, '--max-drop', 100),
    ]
    result = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, cwd=ROOT, env=environment, timeout=300
    )
    assert result.returncode == 0, result.stderr
    assert (tmp_path / 'out' / 'end2end_int8.xml').is_file()
    # OpenVINO's telemetry leaves the id of its user there.
    assert not (tmp_path / 'home' / 'intel').exists()


def test_telemetry_is_hidden_before_openvino_is_imported(environment):
    code = """
import lcnet_mm.deploy, sys, nncf.telemetry.wrapper, openvino.tools.ovc.telemetry_utils as utils
assert not [name for name in sys.modules if name.startswith('openvino_telemetry') and sys.modules[name]]
print(type(nncf.telemetry.wrapper.telemetry).__name__, utils.tm.__name__)
"""
    result = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', code], capture_output=True, text=True, env=environment
    )
    assert result.stdout.splitlines()[-1].split() == ['MagicMock', 'openvino.tools.ovc.telemetry_stub'], result.stderr
