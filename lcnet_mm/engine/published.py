"""Published weights by name wherever mmengine loads a checkpoint, such as ``load_from`` and ``init_cfg``.

Importing this module registers the scheme ``lcnet://`` with mmengine, for the whole process.
"""

from __future__ import annotations

from typing import Any

from mmengine.runner import CheckpointLoader

from ..utils.checkpoint import load_restricted
from ..weights.cache import get_weights
from ..weights.catalog import SCHEME


@CheckpointLoader.register_scheme(prefixes=SCHEME, force=True)  # type: ignore[untyped-decorator]
def load_from_published(filename: str, map_location: Any = None) -> Any:
    """Read published weights for mmengine, whose log names the backend after the middle of this function's name."""
    return load_restricted(get_weights(filename), map_location)
