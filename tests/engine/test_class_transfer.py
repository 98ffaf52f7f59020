"""Starting from a checkpoint of other classes."""

import pytest
import torch

from lcnet_mm.apis import load_config, train
from lcnet_mm.engine.class_transfer import fit_checkpoint, transfer_classes
from lcnet_mm.utils.models import build_model


def detector(config: str, classes: int) -> torch.nn.Module:
    model = build_model(load_config(config, {'model.bbox_head.num_classes': classes}))
    model.init_weights()
    for parameter in model.bbox_head.parameters():
        parameter.data.normal_()
    return model


@pytest.mark.parametrize(
    'config, predictors, boxes',
    [
        ('configs/picodet_like/lcnet_0.5x_coco.py', 'predictors', 32),
        ('configs/picodet_like/picodet_xs_320_coco.py', 'cls_predictors', 0),
    ],
)
def test_detectors_keep_boxes_and_shared_classes(config, predictors, boxes):
    before, now = ['text', 'title', 'figure'], ['stamp', 'figure', 'text', 'logo', 'seal']
    old, new = detector(config, 3).state_dict(), detector(config, 5).state_dict()
    state = {key: value.clone() for key, value in old.items()}
    result = transfer_classes(state, new, before, now)
    changed = sorted(key for key in old if state[key].shape != old[key].shape)
    levels = len({key.split('.')[2] for key in old if f'.{predictors}.' in key})
    assert changed == sorted(result.tensors) and len(changed) == 2 * levels
    assert all(f'.{predictors}.' in key for key in changed)
    for key in old:
        assert state[key].shape == new[key].shape
        if key not in changed:
            assert torch.equal(state[key], old[key])
            continue
        assert torch.equal(state[key][5:], old[key][3:]) and len(old[key][3:]) == boxes
        for row, name in enumerate(now):
            expected = old[key][before.index(name)] if name in before else new[key][row]
            assert torch.equal(state[key][row], expected)
    assert result.kept == ['figure', 'text'] and result.new == ['stamp', 'logo', 'seal']
    assert '3 classes start anew (stamp, logo, seal)' in result.format()


def test_as_many_classes_in_another_order_are_moved():
    state = {'head.fc.weight': torch.tensor([[1.0], [2.0]]), 'backbone.se.weight': torch.tensor([[5.0], [6.0]])}
    wanted = {key: torch.zeros_like(value) for key, value in state.items()}
    transfer_classes(state, wanted, ['a', 'b'], ['b', 'a'])
    assert state['head.fc.weight'].tolist() == [[2.0], [1.0]]
    assert state['backbone.se.weight'].tolist() == [[5.0], [6.0]]


def test_the_same_classes_and_unknown_ones_change_nothing():
    state = {'head.fc.weight': torch.ones(2, 1)}
    wanted = {'head.fc.weight': torch.zeros(3, 1)}
    assert transfer_classes(dict(state), {'head.fc.weight': torch.zeros(2, 1)}, ['a', 'b'], ['a', 'b']) is None
    assert fit_checkpoint(dict(state_dict=state, meta={}), wanted, ['a', 'b', 'c']) == ''
    assert torch.equal(state['head.fc.weight'], torch.ones(2, 1))


def test_training_starts_from_a_checkpoint_of_other_classes(tmp_path, digits):
    path = 'configs/demo/lcnet_0.5x_digits.py'
    old = build_model(load_config(path, {'model.bbox_head.num_classes': 3}))
    old.init_weights()
    for predictor in old.bbox_head.predictors:
        predictor.weight.data.normal_()
    meta = dict(dataset_meta=dict(classes=('7', 'letter', '2')))
    torch.save(dict(state_dict=old.state_dict(), meta=meta), tmp_path / 'old.pth')
    cfg = load_config(path, {'load_from': str(tmp_path / 'old.pth')})
    for split in ('train', 'val', 'test'):
        for dataset in (cfg[f'{split}_dataloader'].dataset,):
            (dataset.dataset if 'dataset' in dataset else dataset).data_root = f'{digits}/'
        cfg[f'{split}_dataloader'].num_workers = 0
        cfg[f'{split}_dataloader'].persistent_workers = False
    for name in ('val_evaluator', 'test_evaluator'):
        cfg[name].ann_file = str(digits / 'annotations' / 'instances_val2017.json')
    cfg.train_dataloader.batch_size = 4
    cfg.optim_wrapper.optimizer.lr = 0.0
    cfg.train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=1, val_interval=10)
    cfg.param_scheduler = []
    cfg.custom_hooks = []
    runner = train(cfg, work_dir=tmp_path / 'run')
    trained = runner.model.state_dict()['bbox_head.predictors.0.weight']
    before = old.state_dict()['bbox_head.predictors.0.weight']
    assert torch.equal(trained[7], before[0]) and torch.equal(trained[2], before[2])
    assert torch.equal(trained[10:], before[3:]) and not torch.equal(trained[0], before[1])
    (log,) = (tmp_path / 'run').rglob('*.log')
    assert '8 classes start anew (0, 1, 3, 4, 5, 6, 8, 9)' in log.read_text()
