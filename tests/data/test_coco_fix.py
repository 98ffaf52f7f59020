"""Repair of COCO files: what is certain is repaired, the rest is left, and the original is never touched."""

import json

import cv2
import numpy as np
import pytest
from PIL import Image

from lcnet_mm.data import check_coco, fix_coco
from lcnet_mm.data.coco_fix import turn_box
from lcnet_mm.utils.errors import UserError


def fix(coco, images=None):
    before = coco.save().read_bytes()
    out = coco.file.with_name('fixed.json')
    changes = fix_coco(coco.file, out, images)
    assert coco.file.read_bytes() == before
    return changes, json.loads(out.read_text()), check_coco(out, images)


def test_missing_fields_and_ids(coco):
    for entry in coco.doc['annotations']:
        del entry['area'], entry['iscrowd'], entry['id']
    changes, doc, report = fix(coco)
    assert changes == {'annotations with a new id': 8, 'area computed': 8, 'iscrowd set': 8}
    assert report.ok and not report.findings
    # Of the mask, which is a rectangle of the size of the box.
    assert [a['area'] for a in doc['annotations']] == [60 * (40 + i) for i in range(8)]
    assert [a['id'] for a in doc['annotations']] == list(range(1, 9))


def test_what_is_right_stays_as_it_is(coco):
    coco.doc['info'] = dict(year=2026, text='Größe')
    coco.doc['annotations'][0]['attributes'] = dict(occluded=True)
    changes, doc, report = fix(coco, coco.images)
    assert changes == {} and doc == coco.doc and report.ok


def test_ids_as_text_and_ids_used_twice(coco):
    for entry in coco.doc['images']:
        entry['id'] = str(entry['id'])
    for entry in coco.doc['annotations']:
        entry['category_id'] = str(entry['category_id'])
    for row, number in ((0, '1'), (2, 2), (3, 0)):
        coco.doc['annotations'][row]['id'] = number
    _, doc, report = fix(coco)
    assert report.ok and not report.findings
    assert [entry['id'] for entry in doc['images']] == [1, 2, 3, 4]
    assert [a['id'] for a in doc['annotations']] == [1, 2, 9, 10, 5, 6, 7, 8]


def test_ids_that_would_become_equal_are_left(coco):
    coco.doc['images'][0]['id'] = '2'
    _, doc, _ = fix(coco)
    assert doc['images'][0]['id'] == '2'


def save_turned(coco, name, boxes):
    """Store an image of 160x120 that is shown as 120x160, with boxes of the first annotations."""
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.zeros((120, 160, 3), np.uint8)).save(coco.images / name, exif=exif.tobytes())
    for annotation, box in zip(coco.doc['annotations'], boxes, strict=False):
        annotation.pop('segmentation')
        annotation['bbox'] = list(box)
        annotation['area'] = box[2] * box[3]


def test_boxes_of_the_stored_image_are_turned_along(coco):
    save_turned(coco, '1.jpg', [(130, 10, 20, 30), (0, 0, 10, 20)])
    coco.save()
    assert [finding.rule for finding in check_coco(coco.file, coco.images).errors] == ['file-rotated']
    changes, doc, report = fix(coco, coco.images)
    assert changes == {'width and height of an image exchanged, and its boxes turned': 1} and report.ok
    assert (doc['images'][0]['width'], doc['images'][0]['height']) == (120, 160)
    assert doc['annotations'][0]['bbox'] == [80, 130, 30, 20]


def test_boxes_of_the_shown_image_stay(coco):
    save_turned(coco, '1.jpg', [(10, 130, 20, 30), (0, 0, 10, 20)])
    changes, doc, report = fix(coco, coco.images)
    assert changes == {'width and height of an image exchanged': 1} and report.ok
    assert doc['annotations'][0]['bbox'] == [10, 130, 20, 30]


def test_boxes_that_fit_both_ways_are_left(coco):
    save_turned(coco, '1.jpg', [(10, 10, 20, 30), (0, 0, 10, 20)])
    changes, doc, report = fix(coco, coco.images)
    assert list(changes) == ['NOT repaired: exchanged sizes of images whose boxes fit both ways or neither']
    assert doc == coco.doc and not report.ok


@pytest.mark.parametrize('orientation', range(1, 9))
def test_turned_boxes_are_where_opencv_turns_the_pixels(tmp_path, orientation):
    stored = np.zeros((20, 30, 3), np.uint8)
    stored[2:7, 11:25] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(stored).save(tmp_path / 'a.jpg', exif=exif.tobytes(), quality=100, subsampling=0)
    rows, columns = np.nonzero(cv2.imread(str(tmp_path / 'a.jpg'))[..., 0] > 127)
    x, y = columns.min(), rows.min()
    found = [x, y, columns.max() + 1 - x, rows.max() + 1 - y]
    assert turn_box(np.array([11, 2, 14, 5]), 30, 20, orientation) == found


def test_nothing_is_written_over(coco, tmp_path):
    coco.save()
    for out in (coco.file, tmp_path / 'taken'):
        out.parent.mkdir(exist_ok=True)
        out.touch()
        with pytest.raises(UserError, match='exists already'):
            fix_coco(coco.file, out)
    with pytest.raises(UserError, match='does not exist'):
        fix_coco(coco.file, tmp_path / 'none' / 'a.json')
    assert not [path for path in tmp_path.rglob('*') if 'partial' in path.name]
