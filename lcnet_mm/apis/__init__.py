"""What the commands of ``lcnet`` do, one function each, and what they share.

What needs more than torch, mmengine and mmcv is imported when it is asked for: ``deploy``, ``quantize`` and the
benchmarks need the extra ``deploy``, ``mine_images`` needs ``classification``. The demos are in :mod:`lcnet_mm.demos`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ..data.checks import check_data
from ..data.formats import convert_dataset
from ..utils.checkpoint import load_weights, read_checkpoint
from ..utils.config import load_config
from ..utils.errors import UserError, run_cli
from ..weights.cache import get_weights
from ..weights.convert import convert_weights
from .compare import compare
from .complexity import complexity
from .datasets import check_config, check_dataset, fix_annotations, prepare_cityscapes
from .initial_config import init_config
from .predict import predict
from .replay import StepReplay, replay_step
from .test import test
from .train import train

if TYPE_CHECKING:
    from ..mining import mine_images
    from .benchmarks import benchmark, benchmark_busy, benchmark_runtime, benchmark_training
    from .export import Deployment, deploy, quantize

__all__ = [
    'Deployment',
    'StepReplay',
    'UserError',
    'benchmark',
    'benchmark_busy',
    'benchmark_runtime',
    'benchmark_training',
    'check_config',
    'check_data',
    'check_dataset',
    'compare',
    'complexity',
    'convert_dataset',
    'convert_weights',
    'deploy',
    'fix_annotations',
    'get_weights',
    'init_config',
    'load_config',
    'load_weights',
    'mine_images',
    'predict',
    'prepare_cityscapes',
    'quantize',
    'read_checkpoint',
    'replay_step',
    'run_cli',
    'test',
    'train',
]

# No function has the name of its module here: importing the module would put it in the function's place.
_MODULE_OF = {
    'Deployment': '.export',
    'benchmark': '.benchmarks',
    'benchmark_busy': '.benchmarks',
    'benchmark_runtime': '.benchmarks',
    'benchmark_training': '.benchmarks',
    'deploy': '.export',
    'mine_images': '..mining',
    'quantize': '.export',
}


def __getattr__(name: str) -> Any:
    if name in _MODULE_OF:
        return getattr(import_module(_MODULE_OF[name], __name__), name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
