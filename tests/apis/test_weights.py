import os
import pickle

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer

from lcnet_mm import PPLCNet
from lcnet_mm.apis import UserError, load_weights, read_checkpoint


@pytest.fixture
def model() -> PPLCNet:
    torch.manual_seed(0)
    return PPLCNet(0.25)


def test_loads_what_mmengine_writes(tmp_path, model):
    history = HistoryBuffer([1.0, 2.0], [1, 1])
    checkpoint = dict(
        state_dict=model.state_dict(),
        meta=dict(epoch=3, seed=np.int64(5), dataset_meta=dict(classes=('a',))),
        message_hub=dict(log_scalars=dict(loss=history)),
    )
    torch.save(checkpoint, tmp_path / 'a.pth')
    other = PPLCNet(0.25)
    meta = load_weights(other, tmp_path / 'a.pth')
    assert meta['epoch'] == 3 and meta['seed'] == 5
    for key, value in other.state_dict().items():
        assert torch.equal(value, model.state_dict()[key])


def test_a_bare_state_dict_and_missing_counters_load(tmp_path, model):
    state = {key: value for key, value in model.state_dict().items() if 'num_batches_tracked' not in key}
    torch.save(state, tmp_path / 'a.pth')
    assert load_weights(PPLCNet(0.25), tmp_path / 'a.pth') == {}


def test_another_width_is_refused_and_nothing_changes(tmp_path, model):
    torch.save(PPLCNet(0.5).state_dict(), tmp_path / 'a.pth')
    before = model.conv1.conv.weight.clone()
    with pytest.raises(UserError, match=r'another model: \d+ tensors have another shape \(first: '):
        load_weights(model, tmp_path / 'a.pth')
    assert torch.equal(model.conv1.conv.weight, before)


def test_missing_and_unknown_tensors_are_counted(tmp_path, model):
    state = model.state_dict()
    state.pop('conv1.conv.weight')
    state['extra'] = torch.zeros(1)
    torch.save(state, tmp_path / 'a.pth')
    with pytest.raises(UserError, match=r'1 tensor is missing \(first: conv1.conv.weight\); 1 tensor is unknown'):
        load_weights(model, tmp_path / 'a.pth')


class Malicious:
    def __reduce__(self):
        return os.system, ('touch harmed',)


@pytest.mark.parametrize('save', [torch.save, lambda value, path: path.write_bytes(pickle.dumps(value))])
def test_code_in_a_checkpoint_is_refused_and_named(tmp_path, monkeypatch, save):
    monkeypatch.chdir(tmp_path)
    save(dict(state_dict={}, payload=Malicious()), tmp_path / 'a.pth')
    with pytest.raises(UserError, match='refused'):
        read_checkpoint(tmp_path / 'a.pth')
    assert not (tmp_path / 'harmed').exists()


def test_truncated_empty_and_missing_files(tmp_path, model):
    torch.save(model.state_dict(), tmp_path / 'a.pth')
    content = (tmp_path / 'a.pth').read_bytes()
    for size in (0, 10, len(content) // 2, len(content) - 100):
        (tmp_path / 'b.pth').write_bytes(content[:size])
        with pytest.raises(UserError, match=r'b\.pth is (truncated|refused)'):
            read_checkpoint(tmp_path / 'b.pth')
    (tmp_path / 'c.pth').write_text('this is no checkpoint')
    with pytest.raises(UserError, match=r'c\.pth'):
        read_checkpoint(tmp_path / 'c.pth')
    with pytest.raises(UserError, match='does not exist'):
        read_checkpoint(tmp_path / 'd.pth')
