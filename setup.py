"""Packaging of ``lcnet-mm``; the metadata that does not depend on anything stands in ``pyproject.toml``."""

import re
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
VERSION = re.search(r"__version__ = '(.+)'", (ROOT / 'lcnet_mm' / 'version.py').read_text())
assert VERSION is not None


class BuildWithConfigs(build_py):
    """Put the configs, the tools and the model index into the package, where mmengine and mim look for them.

    They make ``_base_ = 'lcnet_mm::picodet_like/picodet_s_320_coco.py'`` work from another project.
    """

    def run(self) -> None:
        super().run()
        package = ROOT / 'lcnet_mm' if self.editable_mode else Path(self.build_lib) / 'lcnet_mm'
        target = package / '.mim'
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        for name in ('configs', 'tools', 'model-index.yml'):
            if self.editable_mode:
                (target / name).symlink_to(Path('..', '..', name))
            elif (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, target / name, ignore=shutil.ignore_patterns('__pycache__', 'setup'))
            else:
                shutil.copy(ROOT / name, target)


setup(
    version=VERSION.group(1),
    packages=find_packages(include=['lcnet_mm', 'lcnet_mm.*']),
    cmdclass={'build_py': BuildWithConfigs},
    install_requires=['numpy', 'tqdm', 'pyyaml'],
    extras_require={
        'backbone': ['torch>=2.4', 'mmengine>=0.10', 'mmcv>=2.0'],
        'detection': ['torch>=2.4', 'mmengine>=0.10', 'mmcv>=2.0', 'mmdet>=3.3', 'scikit-learn', 'opencv-python'],
        'segmentation': [
            'torch>=2.4',
            'mmengine>=0.10',
            'mmcv>=2.0',
            'mmsegmentation>=1.2',
            'ftfy',
            'regex',
            'cityscapesscripts',
        ],
        'classification': [
            'torch>=2.4',
            'mmengine>=0.10',
            'mmcv>=2.0',
            'mmpretrain>=1.2',
            'ImageHash>=4.3',
            'numpy>=2',
            'timm',
        ],
        'deploy': ['mmdeploy>=1.3.1', 'onnx>=1.17', 'onnxruntime', 'openvino>=2024.0', 'nncf'],
        'runtime': ['opencv-python', 'openvino>=2024.0'],
        'test': ['pytest', 'pytest-timeout', 'ruff', 'mypy', 'types-tqdm', 'timm'],
    },
)
