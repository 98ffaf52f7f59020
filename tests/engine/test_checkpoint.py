import logging
import pickle

import pytest
import torch
from mmengine.fileio import LocalBackend, get_file_backend
from mmengine.logging import HistoryBuffer
from mmengine.runner import CheckpointLoader

from lcnet_mm.engine.checkpoint import AtomicLocalBackend


def test_backend_is_registered_and_writes(tmp_path):
    backend = get_file_backend(str(tmp_path / 'a.pth'), backend_args=dict(backend='atomic_local'))
    assert isinstance(backend, AtomicLocalBackend)
    backend.put(b'first', tmp_path / 'new' / 'a.pth')
    backend.put(b'second', tmp_path / 'new' / 'a.pth')
    assert [(p.name, p.read_bytes()) for p in (tmp_path / 'new').iterdir()] == [('a.pth', b'second')]


def test_an_interrupted_write_keeps_the_old_file(tmp_path, monkeypatch):
    target = tmp_path / 'a.pth'
    AtomicLocalBackend().put(b'old', target)

    def interrupted(self, obj, filepath):
        filepath.write_bytes(obj[:1])
        raise KeyboardInterrupt

    monkeypatch.setattr(LocalBackend, 'put', interrupted)
    with pytest.raises(KeyboardInterrupt):
        AtomicLocalBackend().put(b'new', target)
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [('a.pth', b'old')]


def test_mmengine_reads_its_own_checkpoints_through_the_restricted_loader(tmp_path, caplog):
    """The history of mmengine's logger stands in each of its checkpoints; torch.load alone refuses it since 2.6."""
    history = HistoryBuffer([1.0, 3.0], [1, 1])
    file = tmp_path / 'epoch_1.pth'
    torch.save(dict(state_dict=dict(a=torch.ones(1)), message_hub=dict(log_scalars=dict(loss=history))), file)
    with caplog.at_level('INFO'):
        checkpoint = CheckpointLoader.load_checkpoint(str(file), map_location='cpu', logger=logging.getLogger())
    assert checkpoint['message_hub']['log_scalars']['loss'].mean() == 2.0
    assert f'Loads checkpoint by restricted_local backend from path: {file}' in caplog.text


class Hostile:
    def __reduce__(self):
        return eval, ('1 / 0',)


def test_a_checkpoint_runs_no_code(tmp_path):
    torch.save(dict(state_dict={}, meta=Hostile()), tmp_path / 'hostile.pth')
    with pytest.raises(pickle.UnpicklingError, match=r'eval'):
        CheckpointLoader.load_checkpoint(str(tmp_path / 'hostile.pth'))


def test_a_missing_checkpoint_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'missing\.pth'):
        CheckpointLoader.load_checkpoint(str(tmp_path / 'missing.pth'))
