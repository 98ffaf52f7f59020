"""Packaging of ``lcnet-mm``; the metadata that does not depend on anything stands in ``pyproject.toml``."""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
VERSION = re.search(r"__version__ = '(.+)'", (ROOT / 'lcnet_mm' / 'version.py').read_text())
assert VERSION is not None

setup(
    version=VERSION.group(1),
    packages=find_packages(include=['lcnet_mm', 'lcnet_mm.*']),
    install_requires=['numpy', 'tqdm'],
    extras_require={
        'backbone': ['torch>=2.4', 'mmengine>=0.10', 'mmcv>=2.0'],
        'detection': ['torch>=2.4', 'mmengine>=0.10', 'mmcv>=2.0', 'mmdet>=3.3', 'scikit-learn', 'opencv-python'],
        'segmentation': ['torch>=2.4', 'mmengine>=0.10', 'mmcv>=2.0', 'mmsegmentation>=1.2', 'ftfy', 'regex'],
        'classification': ['torch>=2.4', 'mmengine>=0.10', 'mmcv>=2.0', 'mmpretrain>=1.2'],
        'deploy': ['mmdeploy>=1.3.1', 'onnx>=1.17', 'onnxruntime', 'openvino>=2024.0', 'nncf'],
        'runtime': ['opencv-python', 'openvino>=2024.0'],
        'test': ['pytest', 'pytest-timeout', 'ruff', 'mypy', 'types-tqdm', 'timm'],
    },
)
