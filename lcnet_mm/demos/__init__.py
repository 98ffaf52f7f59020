"""Data sets that are drawn on the spot, and the demos that train on them.

The data sets need scikit-learn and OpenCV. The demos need the extra ``deploy``, and are imported when they are asked
for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .digits import DIGIT_CLASSES, make_digits_dataset, split_scans
from .scans import make_scans_dataset
from .streets import make_streets_dataset
from .yolo import write_yolo

if TYPE_CHECKING:
    from .runner import TASKS, Demo, run_demo

__all__ = [
    'DIGIT_CLASSES',
    'TASKS',
    'Demo',
    'make_digits_dataset',
    'make_scans_dataset',
    'make_streets_dataset',
    'run_demo',
    'split_scans',
    'write_yolo',
]

_FROM_RUNNER = ('TASKS', 'Demo', 'run_demo')


def __getattr__(name: str) -> Any:
    if name in _FROM_RUNNER:
        return getattr(import_module('.runner', __name__), name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
