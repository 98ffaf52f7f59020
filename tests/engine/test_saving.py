"""An old checkpoint goes only after the new one is there."""

import pytest
from mmengine.fileio import LocalBackend

from lcnet_mm.engine import KeepingCheckpointHook


def make_hook():
    hook = KeepingCheckpointHook(interval=1, max_keep_ckpts=1, save_best='acc', rule='greater')
    hook.file_backend = LocalBackend()
    return hook


def test_checkpoints_appear_when_they_are_complete():
    assert KeepingCheckpointHook().backend_args == dict(backend='atomic_local')
    assert KeepingCheckpointHook(backend_args=dict(backend='local')).backend_args == dict(backend='local')


def test_nothing_is_removed_when_saving_fails(tmp_path):
    (tmp_path / 'old.pth').write_text('old')
    hook = make_hook()
    with pytest.raises(OSError), hook._removing_later():
        hook.file_backend.remove(str(tmp_path / 'old.pth'))
        raise OSError
    assert (tmp_path / 'old.pth').read_text() == 'old' and isinstance(hook.file_backend, LocalBackend)


def test_removed_afterwards_but_never_what_was_written(tmp_path):
    for name in ('old.pth', 'last.pth', 'best.pth'):
        (tmp_path / name).write_text(name)
    hook = make_hook()
    hook.out_dir = str(tmp_path)
    hook.last_ckpt, hook.best_ckpt_path = str(tmp_path / 'last.pth'), str(tmp_path / 'best.pth')
    with hook._removing_later():
        with hook._removing_later():
            for path in tmp_path.iterdir():
                hook.file_backend.remove(str(path))
        assert len(list(tmp_path.iterdir())) == 3
    assert {path.name for path in tmp_path.iterdir()} == {'last.pth', 'best.pth'}


def test_nothing_outside_of_its_folder_is_removed(tmp_path):
    """A copied work dir names the best checkpoint of the original."""
    (tmp_path / 'original').mkdir()
    (tmp_path / 'original' / 'best.pth').write_text('best')
    hook = make_hook()
    hook.out_dir = str(tmp_path / 'copy')
    with hook._removing_later():
        hook.file_backend.remove(str(tmp_path / 'original' / 'best.pth'))
    assert (tmp_path / 'original' / 'best.pth').read_text() == 'best'
