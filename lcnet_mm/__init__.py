"""PP-LCNet for the OpenMMLab family.

Importing this package registers the backbones in mmengine's root registry, so that ``type='PPLCNet'`` works in any
mm config that says ``custom_imports = dict(imports=['lcnet_mm'])``, and changes nothing else. Only where mmdeploy is in
the process already, as in mmdeploy's own commands, ``lcnet_mm.deploy`` is imported as well, which makes mmdeploy's
OpenVINO backend work. The backbones need torch, mmengine and mmcv; where one of them is missing (an inference-only
machine), the package still imports, and asking for a backbone raises an ImportError that names the pip command.
"""

import sys
from importlib import import_module
from typing import Any

from .utils.optional import installed, require
from .version import __version__

_REQUIRED = ('torch', 'mmengine', 'mmcv')
_BACKBONES = ('MobileNetV3', 'PPLCNet', 'PPLCNetV2')
_DEPLOY_REQUIRED = ('onnx', 'openvino', 'mmdet', 'mmseg', 'mmpretrain')

if all(map(installed, _REQUIRED)):
    from .backbones import MobileNetV3, PPLCNet, PPLCNetV2

    __all__ = ['MobileNetV3', 'PPLCNet', 'PPLCNetV2', '__version__']
else:
    __all__ = ['__version__']

if 'mmdeploy' in sys.modules and all(map(installed, _DEPLOY_REQUIRED)):
    import_module('lcnet_mm.deploy')


def __getattr__(name: str) -> Any:
    if name in _BACKBONES:
        for package in _REQUIRED:
            require(package, f'lcnet_mm.{name}', 'backbone')
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
