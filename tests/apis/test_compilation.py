"""Training with torch.compile: the same losses as without, and a clear line where it cannot work or does not pay."""

import json
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from run_tool import assert_one_line_error, run_tool

from lcnet_mm.apis import UserError, load_config, train
from lcnet_mm.apis.compilation import check_compilable

SCANS = 'configs/demo/lcnet_0.5x_scans.py'
DIGITS = 'configs/demo/lcnet_0.5x_digits.py'
SPLITS = ('train', 'val', 'test')


@pytest.fixture(scope='module')
def scans(tmp_path_factory) -> Path:
    from lcnet_mm.demos import make_scans_dataset

    folder = tmp_path_factory.mktemp('data') / 'scans'
    make_scans_dataset(folder)
    return folder


def scans_options(root: Path, **more: object) -> dict[str, object]:
    """Two steps of four images, without the dropout, whose random numbers a compiled network draws otherwise."""
    options = {f'{split}_dataloader.dataset.data_root': f'{root}/' for split in SPLITS}
    options |= {f'{split}_dataloader.num_workers': 0 for split in SPLITS}
    options |= {f'{split}_dataloader.persistent_workers': False for split in SPLITS}
    options |= {'train_cfg.max_iters': 2, 'train_dataloader.batch_size': 4, 'default_hooks.logger.interval': 1}
    options |= {'model.backbone.widen_factor': 0.25, 'model.head.in_channels': 128, 'model.head.dropout': 0.0}
    return {**options, **more}


def losses(work_dir: Path) -> list[float]:
    (file,) = work_dir.glob('*/vis_data/scalars.json')
    # The logged loss is the mean over the steps so far.
    return [entry['loss'] for line in file.read_text().splitlines() if 'loss' in (entry := json.loads(line))]


# What traces the network, and what also generates code for it, which takes a minute.
@pytest.mark.parametrize('backend', ['aot_eager', pytest.param('inductor', marks=pytest.mark.slow)])
def test_compiled_steps_have_the_losses_of_eager_ones(backend, scans, tmp_path, monkeypatch):
    compiled = []
    original = torch.compile

    def record(function, **options):
        compiled.append(type(function.__self__).__name__)
        return original(function, backend=backend, **options)

    monkeypatch.setattr(torch, 'compile', record)
    for name in ('eager', 'compiled'):
        runner = train(load_config(SCANS, scans_options(scans)), work_dir=tmp_path / name, compile=name == 'compiled')
        assert runner.iter == 2
    assert compiled == ['PPLCNet', 'LastConvClsHead']
    # Afterwards the modules are as before.
    assert not [module for module in runner.model.modules() if 'forward' in vars(module)]
    eager = losses(tmp_path / 'eager')
    assert len(eager) == 2 and eager[0] != eager[1]
    assert losses(tmp_path / 'compiled') == pytest.approx(eager, rel=1e-4)


def test_several_sizes_that_the_config_does_not_show(scans, tmp_path, monkeypatch):
    """What no look at the config finds is refused when the second size arrives, not compiled over and over."""
    monkeypatch.setattr(torch, 'compile', lambda function, dynamic: function)
    size = dict(type='RandomChoice', transforms=[[dict(type='Resize', scale=scale)] for scale in (64, 80, 96, 112)])
    pipeline = [dict(type='LoadImageFromFile'), size, dict(type='PackInputs')]
    more = {'train_dataloader.dataset.pipeline': pipeline, 'train_dataloader.batch_size': 1, 'train_cfg.max_iters': 20}
    cfg = load_config(SCANS, scans_options(scans, **more))
    with pytest.raises(UserError, match=r'several sizes: they reach the network with height and width \(\d+, \d+\)'):
        train(cfg, work_dir=tmp_path / 'work', compile=True)


def test_multi_scale_training_is_refused(digits, tmp_path):
    root = f'train_dataloader.dataset.data_root={digits}/'
    result = run_tool('train.py', DIGITS, '--work-dir', tmp_path / 'work', '--compile', '--cfg-options', root)
    assert_one_line_error(result, 'does not pay', 'train_dataloader.collate_fn.sizes is [224, 256, 288]')
    assert not (tmp_path / 'work').exists()


def test_without_a_compiler_it_is_refused(scans, tmp_path, monkeypatch):
    monkeypatch.setenv('PATH', '')
    monkeypatch.delenv('CXX', raising=False)
    options = [f'{key}={value}' for key, value in scans_options(scans).items()]
    result = run_tool('train.py', SCANS, '--work-dir', tmp_path / 'work', '--compile', '--cfg-options', *options)
    assert_one_line_error(result, 'C++ compiler', 'g++ is not on the path', 'CXX')
    assert not (tmp_path / 'work').exists()


def loader(*pipeline: dict, **more: object) -> dict:
    return dict(dataset=dict(pipeline=list(pipeline)), **more)


RESIZE = dict(type='Resize', scale=(64, 64), keep_ratio=False)
KEEP_RATIO = dict(type='Resize', scale=(64, 64), keep_ratio=True)
CROP = dict(type='RandomCrop', crop_size=(64, 64))
SYNC = dict(type='BatchSyncRandomResize', random_size_range=(320, 640))


@pytest.mark.parametrize(
    ('train_dataloader', 'preprocessor', 'reason'),
    [
        (loader(RESIZE), {}, None),
        (loader(dict(type='mmpretrain.RandomResizedCrop', scale=64)), {}, None),
        # Images of segmentors are cropped, and padded to the size of the crop.
        (loader(KEEP_RATIO, CROP), dict(size=(64, 64)), None),
        (loader(KEEP_RATIO, collate_fn=dict(type='resize_collate', sizes=[64])), {}, None),
        (loader(RESIZE, collate_fn=dict(type='resize_collate', sizes=[64, 96])), {}, r'sizes is \[64, 96\]'),
        (loader(RESIZE), dict(batch_augments=[SYNC]), 'BatchSyncRandomResize'),
        (loader(KEEP_RATIO), {}, 'Resize in the training pipeline'),
        (loader(RESIZE, dict(type='RandomResize', scale=(64, 64), ratio_range=(0.5, 2))), {}, 'RandomResize'),
        (dict(dataset=dict(type='RepeatDataset', dataset=loader(KEEP_RATIO)['dataset'])), {}, 'Resize in'),
    ],
)
def test_sizes_in_configs(train_dataloader, preprocessor, reason):
    cfg = Config(dict(train_dataloader=train_dataloader, model=dict(data_preprocessor=preprocessor)))
    if reason is None:
        check_compilable(cfg)
    else:
        with pytest.raises(UserError, match=reason):
            check_compilable(cfg)


@pytest.mark.parametrize(
    ('name', 'multi_scale'),
    [
        ('imagenet/pplcnet_1x_in1k', False),
        ('deeplabv3plus/lcnet_1x_cityscapes', False),
        ('demo/lcnet_0.5x_streets', False),
        ('picodet_like/picodet_s_320_coco', True),
    ],
)
def test_configs_of_this_package(name, multi_scale):
    cfg = load_config(f'configs/{name}.py')
    if multi_scale:
        with pytest.raises(UserError, match=r'collate_fn\.sizes'):
            check_compilable(cfg)
    else:
        check_compilable(cfg)
