"""The tool that mines a pool, as a user runs it: a PP-LCNet as the teacher, images of scenes."""

import json

import cv2
import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from run_tool import ROOT, assert_one_line_error, run_tool

from lcnet_mm.apis import load_config
from lcnet_mm.mining import teacher_of_config
from lcnet_mm.utils.errors import UserError
from lcnet_mm.utils.models import build_model

CLASSES = 4


@pytest.fixture(scope='module')
def scene(tmp_path_factory):
    """``pool`` of 200 images and 4 copies, ``val`` of 8, a config and the checkpoint of a teacher."""
    root = tmp_path_factory.mktemp('mine')
    rng = np.random.default_rng(0)
    for folder, count in (('pool', 200), ('val', 8)):
        (root / folder / 'more').mkdir(parents=True)
        for number in range(count):
            image = cv2.resize(rng.uniform(0, 255, (12, 12, 3)), (64, 56), interpolation=cv2.INTER_CUBIC)
            image = image.clip(0, 255).astype(np.uint8)
            cv2.imwrite(str(root / folder / ('more' if number % 2 else '') / f'{number:03d}.png'), image)
            if folder == 'val' and number < 4:
                cv2.imwrite(str(root / 'pool' / f'copy {number}.jpg'), image, [cv2.IMWRITE_JPEG_QUALITY, 70])
    (root / 'pool' / 'broken.jpg').write_text('x')
    config = root / 'teacher.py'
    config.write_text(f"""
_base_ = '{ROOT}/configs/imagenet/pplcnet_0.25x_in1k.py'
model = dict(head=dict(num_classes={CLASSES}))
test_dataloader = dict(dataset=dict(pipeline=[
    dict(type='LoadImageFromFile'), dict(type='Resize', scale=(32, 32)), dict(type='PackInputs')]))
""")
    torch.manual_seed(0)
    cfg = load_config(config)
    init_default_scope('mmpretrain')
    model = build_model(cfg)
    model.init_weights()
    torch.nn.init.normal_(model.head.fc.weight, std=2)
    # Statistics of images, without which all of them look alike to a net that was never trained.
    model.train()(torch.randn(64, 3, 32, 32))
    torch.save(
        dict(state_dict=model.state_dict(), meta=dict(dataset_meta=dict(classes=list('abcd')))), root / 'net.pth'
    )
    return root


def mine(scene, tmp_path, *options, pool=None, **changes):
    given = {'--config': scene / 'teacher.py', '--checkpoint': scene / 'net.pth', '--val': scene / 'val', '--top-k': 15}
    given |= {'--out': tmp_path / 'mined.txt', '--work-dir': tmp_path / 'work', '--workers': 1, '--batch-size': 32}
    given |= {f'--{name.replace("_", "-")}': value for name, value in changes.items()}
    arguments = [word for name, value in given.items() if value is not None for word in (name, value)]
    return run_tool('mine_images.py', pool or scene / 'pool', *arguments, *options)


def test_a_list_and_a_report(scene, tmp_path):
    result = mine(scene, tmp_path, '--with-label', classes=CLASSES)
    assert result.returncode == 0, result.stderr
    report = json.loads((tmp_path / 'mined.json').read_text())
    lines = (tmp_path / 'mined.txt').read_text().splitlines()
    assert report['kept'] == len(lines) == sum(entry['kept'] for entry in report['classes'])
    assert report['pool']['size'] == 205 and report['pool']['unreadable'] == 1
    assert report['pool']['unreadable_files'][0]['file'] == str(scene / 'pool' / 'broken.jpg')
    copies = {entry['file'] for entry in report['duplicates']['files']}
    assert copies == {str(scene / 'pool' / f'copy {number}.jpg') for number in range(4)}
    assert sum(entry['candidates'] for entry in report['classes']) == 200
    for entry in report['classes']:
        assert entry['name'] == 'abcd'[entry['index']] and entry['kept'] == min(15, entry['candidates'])
        assert sum(line.endswith(f' {entry["index"]}') for line in lines) == entry['kept']
    # More than one class has images, so that the rank within a class means something.
    assert sum(entry['kept'] > 0 for entry in report['classes']) > 1
    assert 100 < report['peak_memory_mb']['main'] < 4000
    assert f'{len(lines)} of 205 images' in result.stdout and 'mined.json' in result.stdout
    assert 'pool: 100%' in result.stderr

    again = mine(scene, tmp_path, json=tmp_path / 'reports' / 'again.json')
    assert again.returncode == 0, again.stderr
    assert (tmp_path / 'mined.txt').read_text().splitlines() == [line.rsplit(' ', 1)[0] for line in lines]
    assert json.loads((tmp_path / 'reports' / 'again.json').read_text())['pool']['resumed'] == 205

    (tmp_path / 'list.txt').write_text(f'{scene}/pool/000.png\n')
    assert_one_line_error(mine(scene, tmp_path, pool=tmp_path / 'list.txt'), str(tmp_path / 'work'), 'pool changed')


def test_mistakes_are_one_line(scene, tmp_path):
    assert_one_line_error(mine(scene, tmp_path, checkpoint=None), '--checkpoint')
    assert_one_line_error(mine(scene, tmp_path, out=tmp_path / 'x.json'), 'x.json', 'name of the report too')
    assert_one_line_error(mine(scene, tmp_path, checkpoint='none.pth'), 'none.pth', 'does not exist')
    assert_one_line_error(mine(scene, tmp_path, max_unreadable=0.001), '1 of 205 images', '0.001', 'broken.jpg')
    assert not (tmp_path / 'mined.txt').exists()


def test_a_launcher_without_its_environment(scene, tmp_path, monkeypatch):
    monkeypatch.delenv('RANK', raising=False)
    result = mine(scene, tmp_path, launcher='pytorch')
    assert_one_line_error(result, '--launcher pytorch needs the environment that torchrun sets')


def test_teachers_of_configs(scene, tmp_path):
    teacher = teacher_of_config(scene / 'teacher.py', scene / 'net.pth')
    assert teacher.num_classes == CLASSES and teacher.class_names == list('abcd')
    same = teacher_of_config(scene / 'teacher.py', scene / 'net.pth')
    other = teacher_of_config(scene / 'teacher.py', scene / 'net.pth', {'test_dataloader.dataset.pipeline.1.scale': 48})
    assert same.fingerprint == teacher.fingerprint
    assert other.fingerprint['checkpoint'] == teacher.fingerprint['checkpoint']
    assert other.fingerprint['config'] != teacher.fingerprint['config']
    with pytest.raises(UserError, match=r'net.pth was made for another model'):
        teacher_of_config(scene / 'teacher.py', scene / 'net.pth', {'model.head.num_classes': 5})
    with pytest.raises(UserError, match=r'lcnet_1x_cityscapes.py is not that of an mmpretrain classifier'):
        teacher_of_config(ROOT / 'configs' / 'deeplabv3plus' / 'lcnet_1x_cityscapes.py', scene / 'net.pth')
