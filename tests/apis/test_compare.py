"""Comparing configs over seeds: the figures, and which runs are repeated."""

import json
import logging
import re
from importlib import import_module

import pytest

from lcnet_mm.apis import UserError, compare
from lcnet_mm.apis.compare import Comparison


def test_figures():
    comparison = Comparison('top1', [0, 1, 2], {'a': [90.0, 92.0, 94.0], 'b': [91.0, 95.0, 93.0]})
    first, second = comparison.rows()
    assert first['mean'] == 92 and first['std'] == 2 and first['difference'] == 0 and first['better'] == 0
    assert second['mean'] == 93 and second['minimum'] == 91 and second['maximum'] == 95
    # 1, 3 and -1 over equal seeds.
    assert second['difference'] == 1 and second['difference_std'] == 2 and second['better'] == 2
    lines = comparison.format_table().splitlines()
    assert lines[0] == 'top1, 3 seeds' and '+1.00 ± 2.00' in lines[3] and lines[3].endswith('2/3')
    assert Comparison('top1', [0], {'a': [90.0]}).rows()[0]['std'] == 0


@pytest.fixture
def trained(monkeypatch):
    """Replace training and evaluation; the list of trainings as name, seed, width and whether it resumed."""
    module = import_module('lcnet_mm.apis.compare')
    runs = []

    def train(cfg, work_dir, resume):
        assert resume == 'auto'
        checkpoint = work_dir / 'last.pth'
        runs.append((work_dir.parent.name, cfg.randomness.seed, cfg.model.width, checkpoint.is_file()))
        checkpoint.write_text('')
        if len(runs) == 3:
            raise KeyboardInterrupt

    def newest_checkpoint(folder):
        return str(folder / 'last.pth') if (folder / 'last.pth').is_file() else None

    def evaluate(cfg, checkpoint, work_dir):
        return {'top1': 50 + cfg.model.width + cfg.randomness.seed}

    monkeypatch.setattr(module, 'train', train)
    monkeypatch.setattr(module, 'newest_checkpoint', newest_checkpoint)
    monkeypatch.setattr(module, 'test', evaluate)
    return runs


@pytest.fixture
def warnings(monkeypatch):
    """The warnings; mmengine's logger passes nothing on to that of pytest."""
    texts = []

    def record(text, logger, level):
        assert level == logging.WARNING
        texts.append(text)

    monkeypatch.setattr(import_module('lcnet_mm.apis.compare'), 'print_log', record)
    return texts


@pytest.fixture
def configs(tmp_path):
    """Two configs on one base."""
    (tmp_path / 'base.py').write_text("rate = 0.1\nsteps = [1, dict(end=2)]\nmodel = dict(type='Net')\n")
    for name, width in (('narrow', 1), ('wide', 2)):
        (tmp_path / f'{name}.py').write_text(f"_base_ = 'base.py'\nmodel = dict(width={width})\n")
    return [tmp_path / 'narrow.py', tmp_path / 'wide.py']


def test_complete_runs_are_not_repeated(tmp_path, configs, trained):
    options = dict(seeds=range(2), work_dir=tmp_path / 'runs', metric='top1')
    with pytest.raises(KeyboardInterrupt):
        compare(configs, **options)
    result = compare(configs, **options)
    # Seeds outermost, so that an interrupted comparison has the same seeds of all; the third run was interrupted.
    assert trained == [
        ('narrow', 0, 1, False),
        ('wide', 0, 2, False),
        ('narrow', 1, 1, False),
        ('narrow', 1, 1, True),
        ('wide', 1, 2, False),
    ]
    assert result.results == dict(narrow=[51, 52], wide=[52, 53])
    assert json.loads((tmp_path / 'runs' / 'comparison.json').read_text())['rows'][1]['difference'] == 1
    assert compare(configs, **options).results == result.results and len(trained) == 5


@pytest.mark.parametrize(
    'change, options, reason',
    [
        (('wide.py', 'width=2', 'width=7'), {}, r'model\.width changed from 2 to 7'),
        (('base.py', '0.1', '0.2'), {}, r'rate changed from 0\.1 to 0\.2'),
        (('base.py', 'end=2', 'end=2, by_epoch=False'), {}, r'steps\.1\.by_epoch changed from nothing to False'),
        (('base.py', 'steps = ', 'step = '), {}, r'steps\.0 changed from 1 to nothing \(3 more changed\)'),
        (None, {'model.depth': 3}, r'model\.depth changed from nothing to 3'),
    ],
)
@pytest.mark.parametrize('complete', [True, False])
def test_a_run_of_another_config_is_repeated(tmp_path, configs, trained, warnings, change, options, reason, complete):
    arguments = dict(seeds=[0], work_dir=tmp_path / 'runs', metric='top1')
    compare(configs[1:], **arguments)
    folder = tmp_path / 'runs' / 'wide' / 'seed_0'
    if not complete:
        (folder / 'metrics.json').unlink()
    if change:
        name, before, after = change
        (tmp_path / name).write_text((tmp_path / name).read_text().replace(before, after))
    result = compare(configs[1:], **arguments, options=options)
    # It must not go on from the checkpoint of the other config.
    assert len(trained) == 2 and not trained[1][3]
    assert result.results == dict(wide=[50 + trained[1][2]])
    assert re.search(rf'seed_0 is trained again: in its config, {reason}; .* kept in .*seed_0_old$', warnings.pop())
    assert not warnings
    assert (folder.with_name('seed_0_old') / 'last.pth').is_file()


def test_runs_without_a_record_of_their_config_are_repeated(tmp_path, configs, trained, warnings):
    arguments = dict(seeds=[0], work_dir=tmp_path / 'runs', metric='top1')
    for _ in range(2):
        folder = tmp_path / 'runs' / 'wide' / 'seed_0'
        folder.mkdir(parents=True, exist_ok=True)
        (folder / 'config.json').unlink(missing_ok=True)
        (folder / 'metrics.json').write_text('{"top1": 99.0}')
        assert compare(configs[1:], **arguments).results == dict(wide=[52])
        assert 'seed_0 is trained again: it has no config.json' in warnings.pop()
    assert {path.name for path in folder.parent.iterdir()} == {'seed_0', 'seed_0_old', 'seed_0_old2'}


def test_mistakes(tmp_path):
    for folder in ('a', 'b'):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / 'same.py').write_text('')
    with pytest.raises(UserError, match='two configs are called same'):
        compare([tmp_path / 'a' / 'same.py', tmp_path / 'b' / 'same.py'], seeds=[0], work_dir=tmp_path)
