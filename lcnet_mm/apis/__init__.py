"""What the command lines under ``tools/`` do, importable."""

from ..data.checks import check_data
from ..utils.checkpoint import load_weights, read_checkpoint
from ..utils.config import load_config
from ..utils.errors import UserError, run_cli
from .compare import compare
from .predict import predict
from .test import test
from .train import train

__all__ = [
    'UserError',
    'check_data',
    'compare',
    'load_config',
    'load_weights',
    'predict',
    'read_checkpoint',
    'run_cli',
    'test',
    'train',
]
