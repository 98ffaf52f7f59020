"""The tools that compute no training: help, demo data, checks, complexity."""

import json
import shutil

import pytest
from run_tool import ROOT, assert_one_line_error, run_tool

TOOLS = sorted(path.name for path in (ROOT / 'tools').glob('*.py'))


@pytest.mark.parametrize('name', TOOLS)
def test_help_has_an_example(name):
    result = run_tool(name, '--help')
    assert result.returncode == 0
    assert f'example: python tools/{name}' in result.stdout


def test_make_demo_data(tmp_path):
    result = run_tool('make_demo_data.py', tmp_path / 'digits', '--train', 3, '--val', 2)
    assert result.returncode == 0, result.stderr
    assert '3 images' in result.stdout
    again = run_tool('make_demo_data.py', tmp_path / 'digits', '--train', 3, '--val', 2)
    assert again.returncode == 0 and again.stdout.startswith('kept')
    (tmp_path / 'mine').mkdir()
    (tmp_path / 'mine' / 'precious.txt').write_text('x')
    assert_one_line_error(run_tool('make_demo_data.py', tmp_path / 'mine'), 'mine', 'not empty')
    assert [path.name for path in (tmp_path / 'mine').iterdir()] == ['precious.txt']
    assert_one_line_error(run_tool('make_demo_data.py', tmp_path / 'none', '--train', 0), 'num_train', '0')
    assert not (tmp_path / 'none').exists()


def test_check_dataset(digits, tmp_path):
    ann_file = digits / 'annotations' / 'instances_train2017.json'
    good = run_tool('check_dataset.py', ann_file, '--images', digits / 'train2017', '--json', tmp_path / 'r.json')
    assert good.returncode == 0 and 'no errors' in good.stdout
    assert json.loads((tmp_path / 'r.json').read_text())['images'] == 12
    shutil.copytree(digits, tmp_path / 'copy')
    next((tmp_path / 'copy' / 'train2017').glob('*.jpg')).unlink()
    bad = run_tool('check_dataset.py', ann_file, '--images', tmp_path / 'copy' / 'train2017')
    assert bad.returncode == 1 and 'error: 1 x image file missing' in bad.stdout
    assert_one_line_error(run_tool('check_dataset.py', tmp_path / 'none.json'), 'none.json', 'does not exist')


def test_repaired_annotations(digits, tmp_path):
    doc = json.loads((digits / 'annotations' / 'instances_val2017.json').read_text())
    for annotation in doc['annotations']:
        del annotation['area']
    (tmp_path / 'a.json').write_text(json.dumps(doc))
    result = run_tool('check_dataset.py', tmp_path / 'a.json', '--fix', tmp_path / 'b.json')
    assert result.returncode == 0 and f'{len(doc["annotations"])} x area computed' in result.stdout, result.stderr
    assert json.loads((tmp_path / 'a.json').read_text()) == doc
    again = run_tool('check_dataset.py', tmp_path / 'a.json', '--fix', tmp_path / 'b.json')
    assert_one_line_error(again, 'b.json exists already')


def test_the_data_of_a_config(digits, tmp_path):
    options = [f'{split}_dataloader.dataset.data_root={digits}/' for split in ('train', 'val', 'test')]
    options += [f'{name}_evaluator.ann_file={digits}/annotations/instances_val2017.json' for name in ('val', 'test')]
    config = ROOT / 'configs/demo/lcnet_0.5x_digits.py'
    result = run_tool('check_dataset.py', config, '--json', tmp_path / 'r.json', '--cfg-options', *options)
    # 12 images are fewer than the batch of 16.
    assert result.returncode == 1 and '[config-batch]' in result.stdout, result.stderr
    assert 'train: ' in result.stdout and '12 images, 12 used' in result.stdout
    findings = json.loads((tmp_path / 'r.json').read_text())['findings']
    assert [finding['rule'] for finding in findings] == ['config-batch']
    assert_one_line_error(run_tool('check_dataset.py', config, '--fix', 'x.json'), 'a config says itself', '--fix')


def test_complexity(tmp_path):
    names = ['lcnet_0.5x', 'mobilenetv3_large_0.35x']
    configs = [f'configs/picodet_like/{name}_coco.py' for name in names]
    result = run_tool('complexity.py', *configs, '--json', tmp_path / 'c.json')
    assert result.returncode == 0, result.stderr
    counts = json.loads((tmp_path / 'c.json').read_text())
    # 0.419 M parameters and 0.176 G multiply-adds, 0.489 M and 0.146 G (docs/specification/picodet.md#paper-era-sizes).
    for config, (params, macs) in zip(configs, ((0.419, 0.176), (0.489, 0.146)), strict=True):
        assert counts[config]['total']['params'] / 1e6 == pytest.approx(params, abs=0.0006)
        assert counts[config]['total']['macs'] / 1e9 == pytest.approx(macs, abs=0.0006)
        assert [part['name'].strip() for part in counts[config]['parts']] == [
            'backbone', *(f'backbone.stage{i}' for i in range(5)), 'neck', 'bbox_head',
        ]  # fmt: skip
    assert result.stdout.count('0.4188') == 2
    assert_one_line_error(run_tool('complexity.py', configs[0], '--shape', 8, 320), '--shape 8 320')
    assert_one_line_error(run_tool('complexity.py', 'README.md'), 'README.md')
