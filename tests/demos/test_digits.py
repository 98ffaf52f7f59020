import hashlib
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from pycocotools.coco import COCO

from lcnet_mm.demos import digits as module
from lcnet_mm.demos import make_digits_dataset, split_scans, write_yolo
from lcnet_mm.demos.digit_images import compose_image
from lcnet_mm.demos.digits import load_scans
from lcnet_mm.utils.errors import UserError


def fingerprint(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob('*'))
        if path.is_file()
    }


def test_deterministic_and_independent_of_the_number_of_images(tmp_path):
    make_digits_dataset(tmp_path / 'a', 3, 2, progress=False)
    make_digits_dataset(tmp_path / 'b', 3, 2, progress=False)
    assert fingerprint(tmp_path / 'a') == fingerprint(tmp_path / 'b')
    make_digits_dataset(tmp_path / 'c', 4, 2, progress=False)
    make_digits_dataset(tmp_path / 'd', 3, 2, seed=1, progress=False)
    first = 'train2017/000000000001.jpg'
    assert fingerprint(tmp_path / 'a')[first] == fingerprint(tmp_path / 'c')[first]
    assert fingerprint(tmp_path / 'a')[first] != fingerprint(tmp_path / 'd')[first]


def test_scans_of_train_and_val_are_disjoint_and_balanced():
    _, labels = load_scans()
    split = split_scans()
    assert set(split['train']) | set(split['val']) == set(range(1797))
    assert not set(split['train']) & set(split['val'])
    for digit in range(10):
        share = (labels[split['val']] == digit).sum() / (labels == digit).sum()
        assert share == pytest.approx(0.2, abs=0.005)


def test_boxes_are_tight_around_the_visible_ink():
    scans, labels = load_scans()
    pool = split_scans()['val']
    for index in range(10):
        image = compose_image(scans, labels, pool, (320, 320), np.random.default_rng(index))
        assert 1 <= len(image.boxes) <= 12
        for number, (x, y, width, height) in enumerate(image.boxes):
            ys, xs = np.nonzero(image.ink == number)
            assert (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1) == (x, y, x + width, y + height)
            assert image.labels[number] == labels[image.scans[number]]
            assert image.scans[number] in pool


def test_layout_is_cocos(digits):
    for split, count in (('train', 12), ('val', 4)):
        coco = COCO(str(digits / 'annotations' / f'instances_{split}2017.json'))
        assert len(coco.imgs) == count
        assert [category['name'] for category in coco.cats.values()] == list('0123456789')
        assert all((digits / f'{split}2017' / image['file_name']).is_file() for image in coco.imgs.values())
        for annotation in coco.anns.values():
            x, y, width, height = annotation['bbox']
            image = coco.imgs[annotation['image_id']]
            assert 0 <= x < x + width <= image['width'] and 0 <= y < y + height <= image['height']
            assert annotation['area'] == width * height


def test_equal_data_are_kept_others_are_refused(tmp_path):
    folder = tmp_path / 'digits'
    assert make_digits_dataset(folder, 2, 1, progress=False)['created']
    before = fingerprint(folder)
    assert not make_digits_dataset(folder, 2, 1, progress=False)['created']
    with pytest.raises(FileExistsError, match='delete it or choose another folder'):
        make_digits_dataset(folder, 3, 1, progress=False)
    assert fingerprint(folder) == before
    (folder / 'train2017' / '000000000001.jpg').unlink()
    with pytest.raises(FileExistsError, match='files are missing'):
        make_digits_dataset(folder, 2, 1, progress=False)


def test_an_interrupted_run_leaves_nothing(tmp_path, monkeypatch):
    written = []

    def fail_at_third(path, image, *options):
        written.append(path)
        if len(written) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(module, 'write_image', fail_at_third)
    with pytest.raises(KeyboardInterrupt):
        make_digits_dataset(tmp_path / 'digits', 4, 1, progress=False)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('kwargs', [dict(num_train=0), dict(num_val=-1), dict(seed=-1), dict(image_size=(10, 320))])
def test_wrong_arguments(tmp_path, kwargs):
    with pytest.raises(ValueError, match=next(iter(kwargs))):
        make_digits_dataset(tmp_path / 'digits', **kwargs)


def test_digits_as_yolo_text_files(digits, tmp_path):
    file = write_yolo(digits, tmp_path / 'yolo')
    settings = yaml.safe_load(file.read_text())
    assert settings['names'] == {index: str(index) for index in range(10)}
    content = json.loads((digits / 'annotations' / 'instances_val2017.json').read_text())
    found = []
    for image in content['images']:
        name = Path(image['file_name'])
        assert cv2.imread(str(file.parent / settings['val'] / name)).shape[:2] == (image['height'], image['width'])
        for line in (file.parent / 'labels' / 'val' / name.with_suffix('.txt')).read_text().splitlines():
            label, *box = map(float, line.split())
            x, y, w, h = np.array(box) * [image['width'], image['height'], image['width'], image['height']]
            found.append((image['id'], int(label) + 1, x - w / 2, y - h / 2, w, h))
    expected = [(box['image_id'], box['category_id'], *box['bbox']) for box in content['annotations']]
    assert np.array(sorted(found)) == pytest.approx(np.array(sorted(expected)), abs=1e-3)
    with pytest.raises(UserError, match='is not empty'):
        write_yolo(digits, tmp_path / 'yolo')
