import pytest
from mmengine.fileio import LocalBackend, get_file_backend

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
