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

    They make ``_base_ = 'lcnet_mm::picodet_like/picodet_s_320_coco.py'`` work from another project, with the commands
    and with ``load_config`` of this package.
    """

    def run(self) -> None:
        """Build, and add the configs, the tools and the model index."""
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


# mmcv must be compiled against the torch that is installed, see docs/install.md.
BACKBONE = ['torch>=2.4', 'mmengine>=0.10', 'mmcv>=2.0', 'numpy>=2', 'filelock', 'safetensors']
DETECTION = [*BACKBONE, 'mmdet>=3.3', 'scikit-learn', 'opencv-python']
# mmsegmentation and mmpretrain import what their metadata do not name.
SEGMENTATION = [*BACKBONE, 'mmsegmentation>=1.2', 'ftfy', 'regex', 'cityscapesscripts', 'opencv-python']
CLASSIFICATION = [*BACKBONE, 'mmpretrain>=1.2', 'ImageHash>=4.3', 'timm', 'opencv-python']
RUNTIME = ['opencv-python', 'openvino>=2024.0']

setup(
    version=VERSION.group(1),
    packages=find_packages(include=['lcnet_mm', 'lcnet_mm.*']),
    # Sets the environment before torch is loaded, so it cannot be inside the package.
    py_modules=['lcnet_launcher'],
    package_data={'lcnet_mm': ['py.typed']},
    cmdclass={'build_py': BuildWithConfigs},
    install_requires=['numpy', 'tqdm', 'pyyaml'],
    extras_require={
        'backbone': BACKBONE,
        'detection': DETECTION,
        'segmentation': SEGMENTATION,
        'classification': CLASSIFICATION,
        # The rewriters and the latency suites need the models of all three libraries.
        'deploy': [
            *DETECTION,
            *SEGMENTATION,
            *CLASSIFICATION,
            *RUNTIME,
            'mmdeploy>=1.3.1',
            'onnx>=1.17',
            'onnxruntime',
            'nncf',
            'torchvision',
            'matplotlib',
        ],
        'runtime': RUNTIME,
        'tracking': [*RUNTIME, 'supervision>=0.26', 'trackers>=2.6'],
        'test': ['pytest', 'pytest-timeout', 'ruff', 'mypy', 'import-linter', 'types-tqdm', 'types-PyYAML', 'timm'],
    },
)
