"""Measuring latencies and training steps, with reports that say what was measured on which CPU.

A module is imported when one of its names is asked for, because counting parameters needs no mmdeploy.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .benchmark import Report, Settings, run_benchmark
    from .busy import BusyProfile, profile_busy
    from .complexity import Complexity, measure
    from .training import TrainingBench, TrainingProfile, TrainingSettings, profile_training

__all__ = [
    'BusyProfile',
    'Complexity',
    'Report',
    'Settings',
    'TrainingBench',
    'TrainingProfile',
    'TrainingSettings',
    'measure',
    'profile_busy',
    'profile_training',
    'run_benchmark',
]

_MODULE_OF = {
    'BusyProfile': 'busy',
    'Complexity': 'complexity',
    'Report': 'benchmark',
    'Settings': 'benchmark',
    'TrainingBench': 'training',
    'TrainingProfile': 'training',
    'TrainingSettings': 'training',
    'measure': 'complexity',
    'profile_busy': 'busy',
    'profile_training': 'training',
    'run_benchmark': 'benchmark',
}


def __getattr__(name: str) -> Any:
    if name in _MODULE_OF:
        return getattr(import_module(f'.{_MODULE_OF[name]}', __name__), name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
