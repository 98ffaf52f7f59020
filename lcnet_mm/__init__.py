"""PP-LCNet for the OpenMMLab family.

Importing this package registers the backbones in mmengine's root registry, so that ``type='PPLCNet'`` works in any
mm config that says ``custom_imports = dict(imports=['lcnet_mm'])``. The registration needs torch, mmengine and mmcv;
where one of them is missing (an inference-only machine), the package still imports, without backbones.
"""

from ._optional import installed
from .version import __version__

if all(map(installed, ('torch', 'mmengine', 'mmcv'))):
    from . import checkpoint, hooks, optim
    from .backbones import MobileNetV3, PPLCNet

    __all__ = ['MobileNetV3', 'PPLCNet', '__version__', 'checkpoint', 'hooks', 'optim']
else:
    __all__ = ['__version__']
