"""Preparing Cityscapes: on the street scenes, and on every fault that a tree can have."""

import json
import shutil

import cv2
import numpy as np
import pytest
from cityscapesscripts.helpers.labels import id2label, name2label

from lcnet_mm.data import CityscapesError, prepare_cityscapes
from lcnet_mm.data.cityscapes import LABEL_SUFFIX, POLYGON_SUFFIX, TRAIN_ID_SUFFIX, train_id_table
from lcnet_mm.demos import make_streets_dataset
from lcnet_mm.demos import streets as module
from lcnet_mm.demos.street_canvas import IDS
from lcnet_mm.demos.street_images import compose_street


@pytest.fixture
def tree(streets, tmp_path):
    return shutil.copytree(streets, tmp_path / 'tree', ignore=shutil.ignore_patterns('*labelTrainIds.png'))


def files(tree, suffix, split='train'):
    return sorted((tree / 'gtFine' / split).rglob(f'*{suffix}'))


def test_ids_are_those_of_cityscapes():
    for name, label_id in IDS.items():
        assert name2label[name.replace('_', ' ')].id == label_id
    table = train_id_table()
    for label_id, label in id2label.items():
        if label_id >= 0:
            assert table[label_id] == (label.trainId if label.trainId >= 0 else 255)
    assert (table[34:] == -1).all()


def test_scenes_have_all_classes_and_are_deterministic():
    first, again = (compose_street((512, 256), np.random.default_rng([0, 0, 3])) for _ in range(2))
    assert np.array_equal(first.image, again.image) and np.array_equal(first.label_ids, again.label_ids)
    assert first.image.shape == (256, 512, 3) and first.label_ids.shape == (256, 512)
    table = train_id_table()
    seen = set()
    for index in range(12):
        image = compose_street((256, 128), np.random.default_rng([0, 1, index]))
        assert (table[image.label_ids] >= 0).all()
        seen |= set(table[image.label_ids].ravel().tolist())
    assert seen == {*range(19), 255}


def test_conversion_equals_the_table_pixel_by_pixel(tree):
    report = prepare_cityscapes(tree, progress=False)
    assert report.ok and report.images == dict(train=6, val=2, test=0)
    assert (report.converted, report.kept) == (8, 0)
    total = np.zeros(256)
    for split in ('train', 'val'):
        for source in files(tree, LABEL_SUFFIX, split):
            ids = cv2.imread(str(source), cv2.IMREAD_UNCHANGED)
            target = source.with_name(source.name.replace(LABEL_SUFFIX, TRAIN_ID_SUFFIX))
            found = cv2.imread(str(target), cv2.IMREAD_UNCHANGED)
            for label_id in np.unique(ids):
                train_id = id2label[int(label_id)].trainId
                assert (found[ids == label_id] == (train_id if train_id >= 0 else 255)).all()
            total += np.bincount(found.ravel(), minlength=256)
    assert report.pixels['road'] == pytest.approx(total[0] / total[:19].sum())
    assert sum(report.pixels.values()) == pytest.approx(1)


def test_a_second_run_keeps_and_an_interrupted_one_goes_on(tree, monkeypatch):
    from lcnet_mm.data import cityscapes

    written = []

    def stop_at_third(file, content):
        if len(written) == 3:
            raise KeyboardInterrupt
        written.append(file)
        original(file, content)

    original = cityscapes.write_atomically
    monkeypatch.setattr(cityscapes, 'write_atomically', stop_at_third)
    with pytest.raises(KeyboardInterrupt):
        prepare_cityscapes(tree, workers=1, progress=False)
    monkeypatch.setattr(cityscapes, 'write_atomically', original)
    report = prepare_cityscapes(tree, progress=False)
    assert (report.converted, report.kept) == (5, 3)
    assert not list(tree.rglob('*.partial'))
    assert prepare_cityscapes(tree, progress=False).kept == 8


def test_check_only_writes_nothing(tree):
    before = sorted(tree.rglob('*'))
    report = prepare_cityscapes(tree, convert=False, progress=False)
    assert report.ok and report.converted == 0 and report.pixels['road'] > 0.1
    assert sorted(tree.rglob('*')) == before


def test_polygons_are_drawn_where_there_are_no_maps(tree):
    label = files(tree, LABEL_SUFFIX)[0]
    height, width = cv2.imread(str(label), cv2.IMREAD_UNCHANGED).shape
    corners = [[0, 0], [width, 0], [width, height], [0, height]]
    objects = [dict(label='road', polygon=corners), dict(label='car', polygon=[[0, 0], [9, 0], [9, 9], [0, 9]])]
    polygons = label.with_name(label.name.replace(LABEL_SUFFIX, POLYGON_SUFFIX))
    polygons.write_text(json.dumps(dict(imgHeight=height, imgWidth=width, objects=objects)))
    label.unlink()
    assert prepare_cityscapes(tree, progress=False).ok
    found = cv2.imread(str(polygons).replace(POLYGON_SUFFIX, TRAIN_ID_SUFFIX), cv2.IMREAD_UNCHANGED)
    assert found[5, 5] == 13 and found[-1, -1] == 0
    objects[0]['label'] = 'motorway'
    polygons.write_text(json.dumps(dict(imgHeight=height, imgWidth=width, objects=objects)))
    report = prepare_cityscapes(tree, progress=False)
    assert not report.ok and 'motorway' in report.format_table()


def unknown_id(label):
    ids = cv2.imread(str(label), cv2.IMREAD_UNCHANGED)
    ids[3, 4] = 77
    cv2.imwrite(str(label), ids)


FAULTS = {
    'ids that are not in the table': (unknown_id, '77'),
    'another size': (lambda label: cv2.imwrite(str(label), np.full((64, 100), 7, np.uint8)), '100x64'),
    'one pixel too wide': (lambda label: cv2.imwrite(str(label), np.full((64, 129), 7, np.uint8)), '129x64'),
    'cannot be read': (lambda label: label.write_bytes(b'x'), 'not an image'),
    'one channel': (lambda label: cv2.imwrite(str(label), np.zeros((64, 128, 3), np.uint8)), '3'),
    'image without': (lambda label: label.unlink(), 'leftImg8bit.png'),
    'label map without an image': (lambda label: label.rename(label.with_name('lonely' + LABEL_SUFFIX)), 'lonely'),
}


@pytest.mark.parametrize('fault', FAULTS)
def test_faults_are_named_and_do_not_stop_the_others(fault, tree):
    change, word = FAULTS[fault]
    label = files(tree, LABEL_SUFFIX)[2]
    change(label)
    report = prepare_cityscapes(tree, progress=False)
    text = report.format_table()
    assert not report.ok and report.converted == 7 and word in text, text
    assert label.name in text or label.name.replace(LABEL_SUFFIX, '_leftImg8bit.png') in text
    assert not label.with_name(label.name.replace(LABEL_SUFFIX, TRAIN_ID_SUFFIX)).exists()


def test_other_folders_are_refused(tmp_path):
    with pytest.raises(CityscapesError, match='leftImg8bit'):
        prepare_cityscapes(tmp_path)


def test_streets_are_kept_and_others_refused(tmp_path, monkeypatch):
    folder = tmp_path / 'streets'
    small = dict(num_train=2, num_val=1, image_size=(64, 64), progress=False)
    assert make_streets_dataset(folder, **small)['created']
    prepare_cityscapes(folder, progress=False)
    assert not make_streets_dataset(folder, **small)['created']
    with pytest.raises(FileExistsError, match='delete it or choose another folder'):
        make_streets_dataset(folder, **{**small, 'seed': 1})
    monkeypatch.setattr(module, 'write_image', lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        make_streets_dataset(tmp_path / 'other', **small)
    assert not (tmp_path / 'other').exists() and len(list(tmp_path.iterdir())) == 1
