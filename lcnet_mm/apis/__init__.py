"""What the command lines under ``tools/`` do, importable."""

from ..errors import UserError, run_cli
from .compare import compare
from .config import check_data, load_config
from .predict import predict
from .test import test
from .train import train
from .weights import load_weights, read_checkpoint

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
