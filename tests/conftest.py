"""What all tests share."""

import os
import signal
import tempfile
from pathlib import Path

import lcnet_launcher

# As in every command, and before torch is loaded.
lcnet_launcher.prepare_environment()

import pytest  # noqa: E402
import torch  # noqa: E402
from mmengine.registry import DefaultScope  # noqa: E402

ROOT = Path(__file__).parents[1]
# Of several processes (pytest -n), each has one core.
torch.set_num_threads(1 if 'PYTEST_XDIST_WORKER' in os.environ else 2)


def pytest_configure(config: pytest.Config) -> None:
    """Make a folder for the exports that several tests use, in whichever process they run."""
    # A shell ignores Ctrl-C in what it starts in the background, and tests of Ctrl-C would inherit that.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if not hasattr(config, 'workerinput'):
        folder = tempfile.TemporaryDirectory(prefix='lcnet_mm_exports_')
        os.environ['LCNET_MM_TEST_EXPORTS'] = folder.name
        config.add_cleanup(folder.cleanup)


@pytest.fixture(autouse=True)
def no_default_scope():
    """A test that names no scope must not meet the one that an earlier runner left behind."""
    DefaultScope._instance_dict.clear()
    yield
    DefaultScope._instance_dict.clear()


@pytest.fixture(scope='session')
def digits(tmp_path_factory) -> Path:
    """A tiny digits data set in COCO's layout: 12 training and 4 validation images."""
    from lcnet_mm.demos import make_digits_dataset

    folder = tmp_path_factory.mktemp('data') / 'digits'
    make_digits_dataset(folder, num_train=12, num_val=4, progress=False)
    return folder


@pytest.fixture(scope='session')
def streets(tmp_path_factory) -> Path:
    """Tiny street scenes in Cityscapes' layout with train ids: 6 training and 2 validation images."""
    from lcnet_mm.data import prepare_cityscapes
    from lcnet_mm.demos import make_streets_dataset

    folder = tmp_path_factory.mktemp('data') / 'streets'
    make_streets_dataset(folder, num_train=6, num_val=2, image_size=(128, 64), progress=False)
    assert prepare_cityscapes(folder, progress=False).ok
    return folder
