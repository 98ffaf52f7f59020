"""What mmpretrain lacks for PP-LCNet; a config that uses it says ``custom_imports = ['lcnet_mm.classification']``."""

from .._optional import require

require('mmpretrain', 'lcnet_mm.classification', 'classification')

from .heads import LastConvClsHead  # noqa: E402

__all__ = ['LastConvClsHead']
