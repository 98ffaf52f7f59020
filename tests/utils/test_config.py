"""Reading configs changes nothing else."""

import pytest
from mmengine.config.utils import MODULE2PACKAGE
from mmengine.registry import DefaultScope, init_default_scope

from lcnet_mm.apis import UserError, load_config
from lcnet_mm.utils.models import build_model

PICODET = 'configs/picodet_like/picodet_xs_320_coco.py'


def test_reading_changes_neither_the_scope_nor_mmengines_tables(tmp_path):
    before = dict(MODULE2PACKAGE)
    assert load_config(PICODET).default_scope == 'mmdet' and DefaultScope.get_current_instance() is None
    init_default_scope('mmseg')
    (tmp_path / 'mine.py').write_text("_base_ = 'lcnet_mm::imagenet/pplcnet_0.25x_in1k.py'\n")
    assert load_config(tmp_path / 'mine.py').default_scope == 'mmpretrain'
    assert DefaultScope.get_current_instance().scope_name == 'mmseg' and before == MODULE2PACKAGE
    (tmp_path / 'broken.py').write_text("_base_ = 'lcnet_mm::imagenet/none.py'\n")
    with pytest.raises(UserError, match='cannot be read'):
        load_config(tmp_path / 'broken.py')
    assert before == MODULE2PACKAGE


def test_another_entry_of_the_table_stays(monkeypatch):
    monkeypatch.setitem(MODULE2PACKAGE, 'lcnet_mm', 'lcnet-mm')
    load_config(PICODET)
    assert MODULE2PACKAGE['lcnet_mm'] == 'lcnet-mm'


def test_installed_configs_by_name():
    assert load_config('lcnet_mm::picodet_like/picodet_xs_320_coco.py').model == load_config(PICODET).model
    assert load_config('mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco.py').model.type == 'RTMDet'
    with pytest.raises(UserError, match=r'lcnet_mm::none\.py does not exist'):
        load_config('lcnet_mm::none.py')
    with pytest.raises(UserError, match='no_such_package is not installed'):
        load_config('no_such_package::none.py')


def test_models_are_built_in_the_scope_of_their_config():
    init_default_scope('mmseg')
    assert build_model(load_config(PICODET)).bbox_head.num_classes == 80
    classifier = build_model(load_config('configs/imagenet/pplcnet_0.25x_in1k.py'))
    assert classifier.data_preprocessor.mean.flatten().tolist() == pytest.approx([123.675, 116.28, 103.53])
    assert DefaultScope.get_current_instance().scope_name == 'mmseg'


@pytest.mark.parametrize(
    'content, message',
    [
        (None, 'does not exist'),
        ('model = dict(', 'cannot be read'),
        ("_base_ = './nowhere.py'", 'cannot be read'),
        ("custom_imports = dict(imports=['no_such_package'])", 'cannot be read.*no_such_package'),
    ],
)
def test_unreadable_configs(tmp_path, content, message):
    if content is not None:
        (tmp_path / 'config.py').write_text(content)
    with pytest.raises(UserError, match=message):
        load_config(tmp_path / 'config.py')


def test_installed_configs_by_their_path_in_a_clone(tmp_path, monkeypatch):
    """The commands in the documents work with the wheel alone; a local file of the same name wins."""
    expected = load_config(PICODET)
    monkeypatch.chdir(tmp_path)
    assert load_config(PICODET).model == expected.model
    (tmp_path / PICODET).parent.mkdir(parents=True)
    (tmp_path / PICODET).write_text('mine = True\n')
    assert load_config(PICODET).mine
    with pytest.raises(UserError, match=r'config configs/none\.py does not exist'):
        load_config('configs/none.py')
    with pytest.raises(UserError, match=r'config picodet_like/picodet_xs_320_coco\.py does not exist'):
        load_config('picodet_like/picodet_xs_320_coco.py')
