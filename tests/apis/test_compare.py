"""Comparing configs over seeds: the figures, and that complete runs are not repeated."""

import json

import pytest

from lcnet_mm.apis import UserError, compare
from lcnet_mm.apis import compare as function
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


def test_complete_runs_are_not_repeated(tmp_path, monkeypatch):
    module = __import__(function.__module__, fromlist=['train'])
    trained = []

    def train(cfg, work_dir, resume):
        work_dir.mkdir(parents=True, exist_ok=True)
        trained.append((work_dir.parent.name, cfg.randomness.seed, cfg.width, resume))
        if len(trained) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(module, 'train', train)
    monkeypatch.setattr(module, 'newest_checkpoint', lambda folder: 'last.pth')
    monkeypatch.setattr(
        module, 'test', lambda cfg, checkpoint, work_dir: {'top1': 50 + cfg.width + cfg.randomness.seed}
    )
    configs = []
    for name, width in (('narrow', 1), ('wide', 2)):
        configs.append(tmp_path / f'{name}.py')
        configs[-1].write_text(f'width = {width}\n')
    options = dict(seeds=range(2), work_dir=tmp_path / 'runs', metric='top1')
    with pytest.raises(KeyboardInterrupt):
        compare(configs, **options)
    result = compare(configs, **options)
    # Seeds outermost, so that an interrupted comparison has the same seeds of all; the third run was interrupted.
    assert [run[:2] for run in trained] == [('narrow', 0), ('wide', 0), ('narrow', 1), ('narrow', 1), ('wide', 1)]
    assert {run[3] for run in trained} == {'auto'}
    assert result.results == dict(narrow=[51, 52], wide=[52, 53])
    assert json.loads((tmp_path / 'runs' / 'comparison.json').read_text())['rows'][1]['difference'] == 1


def test_mistakes(tmp_path):
    for folder in ('a', 'b'):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / 'same.py').write_text('')
    with pytest.raises(UserError, match='two configs are called same'):
        compare([tmp_path / 'a' / 'same.py', tmp_path / 'b' / 'same.py'], seeds=[0], work_dir=tmp_path)
