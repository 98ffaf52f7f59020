"""A training of seconds: a classifier of two classes on ten images of 32x32, three steps in each of two epochs."""

import gc
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import cv2
import numpy as np
from run_tool import run_tool

CONFIG = """
_base_ = '{root}/configs/imagenet/pplcnet_0.25x_in1k.py'
model = dict(head=dict(num_classes=2, topk=(1,), loss=dict(_delete_=True, type='CrossEntropyLoss')))
pipeline = [dict(type='LoadImageFromFile'), dict(type='PackInputs')]
loader = dict(
    batch_size=4, num_workers=0, persistent_workers=False,
    dataset=dict(
        _delete_=True, type='CustomDataset', data_root='{data}', data_prefix='train', pipeline=pipeline,
    ),
)
train_dataloader = loader
val_dataloader = loader
test_dataloader = loader
val_evaluator = dict(topk=(1,))
test_evaluator = val_evaluator
train_cfg = dict(max_epochs=2, val_interval=1)
optim_wrapper = dict(optimizer=dict(lr=0.1))
auto_scale_lr = dict(enable=False)
param_scheduler = [dict(type='CosineAnnealingLR', T_max=2, begin=0, end=2, by_epoch=True)]
default_hooks = dict(logger=dict(interval=1))
randomness = dict(seed=0)
"""
ROOT = Path(__file__).parents[1]


@contextmanager
def without_formatting():
    """Let mmengine write configs as they are, and collect no garbage of other tests.

    Formatting the config for the log and for every checkpoint takes longer than these trainings.
    """
    gc.freeze()
    with mock.patch('mmengine.config.config.FormatCode', lambda text, **_: (text, True)):
        yield
    gc.unfreeze()


def write_images(folder: Path) -> None:
    """Five bright and five dark images of noise, in a folder for each class."""
    generator = np.random.default_rng(0)
    for name, level in (('bright', 200), ('dark', 40)):
        (folder / name).mkdir(parents=True)
        for index in range(5):
            image = np.clip(generator.normal(level, 20, (32, 32, 3)), 0, 255).astype(np.uint8)
            cv2.imwrite(str(folder / name / f'{index}.png'), image)


def write_config(folder: Path, data: Path, more: str = '') -> Path:
    """Write the config, with more lines after it, and return its path."""
    file = folder / 'tiny.py'
    file.write_text(CONFIG.format(root=ROOT, data=data) + more)
    return file


def train(config: Path, work_dir: Path, *arguments: object, **options: object):
    """Run ``lcnet train`` in this process; names of options have ``__`` for the points."""
    given = [f'{name.replace("__", ".")}={value}' for name, value in options.items()]
    return run_tool(
        'train.py', config, '--work-dir', work_dir, *arguments, *(['--cfg-options', *given] if given else [])
    )
