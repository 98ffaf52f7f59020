"""``lcnet test --report`` and ``lcnet train --report`` on data."""

import json
import shutil
from types import SimpleNamespace

import pytest
import tiny_training
import torch
from deploy_cases import CLASSIFIER, save_image, save_random
from mmengine.config import Config
from run_tool import ROOT, assert_one_line_error, run_tool
from tiny_exports import make_export

from lcnet_mm.apis import load_config
from lcnet_mm.reports.latency import measure_export
from lcnet_mm.utils.errors import UserError

SMALL = {
    # Without a threshold an untrained net finds something.
    'model.test_cfg.score_thr': 0.0,
    'model.bbox_head.num_classes': 10,
    'test_dataloader.batch_size': 2,
    'test_dataloader.num_workers': 0,
    'test_dataloader.persistent_workers': False,
}


def test_detector_on_digits(digits, tmp_path, monkeypatch):
    """The labels are those of CocoMetric, and so is the AP."""
    monkeypatch.setattr('lcnet_mm.reports.writing.measure_export', lambda *_: dict(missing='not now'))
    config = ROOT / 'configs' / 'demo' / 'lcnet_0.5x_digits.py'
    options = {
        **SMALL,
        'test_dataloader.dataset.data_root': f'{digits}/',
        'test_evaluator.ann_file': f'{digits}/annotations/instances_val2017.json',
    }
    checkpoint = save_random(load_config(config, options), tmp_path / 'random.pth')
    content = torch.load(checkpoint)
    content['meta'] = dict(dataset_meta=dict(classes=[f'digit {i}' for i in range(10)]))
    torch.save(content, checkpoint)
    given = ['--work-dir', tmp_path / 'work', '--cfg-options', *(f'{key}={value}' for key, value in options.items())]
    with tiny_training.without_formatting():
        result = run_tool('test.py', config, checkpoint, '--report', tmp_path / 'report', *given)
    assert result.returncode == 0, result.stderr
    report = json.loads((tmp_path / 'report' / 'report.json').read_text())
    labels = json.loads((digits / 'annotations' / 'instances_val2017.json').read_text())
    assert report['data']['images'] == 4 == len(labels['images'])
    assert report['data']['boxes'] == len(labels['annotations']) == sum(entry['boxes'] for entry in report['classes'])
    assert sum(map(sum, report['confusion']['counts'][:-1])) == len(labels['annotations'])
    # mmdet rounds to three digits.
    assert report['ap'] == pytest.approx(report['metrics']['coco/bbox_mAP'], abs=6e-4)
    (log,) = (tmp_path / 'work').rglob('*.log')
    assert log.read_text().count('classes differ from those of the checkpoint') == 1
    assert report['worst'] and report['latency'] == dict(missing='not now')
    assert 'not now' in (tmp_path / 'report' / 'report.html').read_text(encoding='utf-8')
    # Before anything is loaded.
    result = run_tool('test.py', config, checkpoint, '--report', tmp_path, *given)
    assert_one_line_error(result, f'folder {tmp_path} has files and no earlier report')


def test_training_ends_with_a_report(tmp_path, monkeypatch):
    """Of the best checkpoint."""
    monkeypatch.setattr('lcnet_mm.reports.writing.measure_export', lambda *_: dict(missing='not now'))
    tiny_training.write_images(tmp_path / 'data' / 'train')
    config = tiny_training.write_config(tmp_path, tmp_path / 'data')
    with tiny_training.without_formatting():
        # With the rate of the other tests the outputs are NaN, for which the metrics count differently.
        result = tiny_training.train(
            config, tmp_path / 'work', '--report', tmp_path / 'report', optim_wrapper__optimizer__lr=0.001
        )
    assert result.returncode == 0, result.stderr
    report = json.loads((tmp_path / 'report' / 'report.json').read_text())
    assert 'best_accuracy_top1' in report['checkpoint']
    assert report['accuracy'] == pytest.approx(report['metrics']['accuracy/top1'] / 100)
    assert [entry['images'] for entry in report['classes']] == [5, 5]


def test_latency_of_an_export(tmp_path, monkeypatch):
    """The export itself, which takes long, is replaced by a finished one."""
    image, made = save_image(tmp_path / 'image.png'), make_export(tmp_path / 'export', 'classification')

    def export(deploy_cfg, cfg, name, checkpoint, image, folder):
        assert list(deploy_cfg.onnx_config.input_shape) == [64, 64]
        shutil.copytree(made, folder, dirs_exist_ok=True)
        return SimpleNamespace(problem='of a test')

    monkeypatch.setattr('lcnet_mm.deploy.export.deploy', export)
    result = measure_export(Config(CLASSIFIER), 'none.pth', image)
    assert result['input_size'] == [64, 64] and result['problem'] == 'of a test'
    assert result['milliseconds']['1']['calls'] == 30
    assert 0 < result['milliseconds']['1']['minimum'] <= result['milliseconds']['1']['median']


def test_latency_that_cannot_be_measured(tmp_path, monkeypatch):
    def fail(*_):
        raise UserError('this head has no export')

    monkeypatch.setattr('lcnet_mm.deploy.export.deploy', fail)
    result = measure_export(Config(CLASSIFIER), 'none.pth', save_image(tmp_path / 'image.png'))
    assert result == dict(missing='the checkpoint cannot be exported: this head has no export')
    monkeypatch.setattr('lcnet_mm.reports.latency.installed', lambda package: package != 'openvino')
    result = measure_export(Config(CLASSIFIER), 'none.pth', 'none.png')
    assert result == dict(missing='openvino is not installed (pip install "lcnet-mm[deploy]")')


@pytest.mark.slow
def test_latency_of_a_checkpoint(tmp_path):
    cfg = Config(CLASSIFIER)
    result = measure_export(cfg, save_random(cfg, tmp_path / 'random.pth'), save_image(tmp_path / 'image.png'))
    assert result['input_size'] == [64, 64] and not result['problem'] and result['milliseconds']['1']['median'] > 0
