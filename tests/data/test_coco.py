"""Checks of COCO files: what each fault is called, how bad it is, and what would be left for a training."""

import json

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from lcnet_mm.data import RULES, AnnotationError, check_coco, read_categories

CATEGORIES = [dict(id=1, name='cat', supercategory='{animal}'), dict(id=7, name='a "dog" ] {')]


def write(path, content) -> str:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(path)


@pytest.mark.parametrize('keys', [('categories', 'images', 'annotations'), ('images', 'annotations', 'categories')])
def test_categories_are_found_wherever_they_stand(tmp_path, keys):
    content = dict(
        categories=CATEGORIES,
        images=[dict(id=1, file_name='"categories": [1].jpg', width=1, height=1)],
        annotations=[dict(id=i, bbox=[0, 0, 1, 1], category_id=1, image_id=1) for i in range(5000)],
    )
    assert read_categories(write(tmp_path / 'a.json', {key: content[key] for key in keys})) == CATEGORIES


def test_a_large_file_is_not_parsed(tmp_path, monkeypatch):
    content = dict(images=[], annotations=[dict(id=i, bbox=[0, 0, 1, 1]) for i in range(50_000)], categories=CATEGORIES)
    path = write(tmp_path / 'a.json', content)
    monkeypatch.setattr(json, 'loads', lambda *_: pytest.fail('parsed the whole file'))
    assert read_categories(path) == CATEGORIES


@pytest.mark.parametrize(
    'content, message',
    [
        ('', 'empty'),
        ('{"images": [', 'not valid JSON'),
        ('{"categories": [{"id": 1, "name": "a"}], "images": [', 'not valid JSON'),
        ('{"images": []}', "no list 'annotations'"),
        ('{"images": [], "annotations": [], "categories": []}', 'no categories'),
        ('[1, 2]', 'holds a list'),
        ('"a"', 'holds a str'),
        ('[' * 100_000, 'nested too deeply'),
    ],
)
def test_unusable_files(tmp_path, content, message):
    path = write(tmp_path / 'a.json', content)
    with pytest.raises(AnnotationError, match=message):
        read_categories(path)
    with pytest.raises(AnnotationError):
        check_coco(path)


def test_missing_file(tmp_path):
    for function in (read_categories, check_coco):
        with pytest.raises(AnnotationError, match=r'none\.json does not exist'):
            function(tmp_path / 'none.json')


def test_a_good_file_has_no_findings(coco):
    report = check_coco(coco.save(), coco.images, ['box', 'disc'], masks=True, decode=True)
    assert report.ok and report.findings == [] and report.exit_code == 0
    (summary,) = report.summaries
    assert (summary.images, summary.used, summary.per_class) == (4, 4, {'box': 4, 'disc': 4})
    assert not any(summary.left_out.values())
    assert report.format_table().splitlines()[-1] == 'no errors'


def every(key, value):
    return lambda doc: [entry.update({key: value}) for entry in doc['annotations']]


def one(**changes):
    return lambda doc: doc['annotations'][2].update(changes)


def without(key, kind='annotations'):
    return lambda doc: [entry.pop(key) for entry in doc[kind]]


def image(**changes):
    return lambda doc: doc['images'][1].update(changes)


def category(**changes):
    return lambda doc: doc['categories'][1].update(changes)


def as_xyxy(doc):
    for a in doc['annotations']:
        x, y, w, h = a['bbox']
        a['bbox'] = [x + 60, y + 40, x + 60 + w, y + 40 + h]
        a.pop('segmentation')


def as_center(doc):
    for a in doc['annotations']:
        a['bbox'] = [125, 100, 60, 30]
        a['area'] = 1800
        a.pop('segmentation')
        a['bbox'][0] -= a['id']


def normalized(doc):
    for a in doc['annotations']:
        a['bbox'] = [value / 160 for value in a['bbox']]
        a.pop('segmentation')


def swapped(doc):
    for a in doc['annotations']:
        a['bbox'] = [10.0 + a['id'], 100, 40, 50]
        a['area'] = 2000
        a.pop('segmentation')


# The change of a good file, the rule that must be reported, its severity and its count.
FAULTS = {
    'no area': (without('area'), 'area-missing', 'error', 8),
    'area null': (every('area', None), 'area-type', 'error', 8),
    'area text': (one(area='12'), 'area-type', 'error', 1),
    'area NaN': (one(area=float('nan')), 'area-type', 'error', 1),
    'area true': (one(area=True), 'area-type', 'error', 1),
    'area 0': (every('area', 0), 'area-empty', 'error', 8),
    'area negative': (one(area=-4), 'area-empty', 'error', 1),
    'area larger': (one(area=1e6), 'area-larger-than-box', 'warning', 1),
    'no iscrowd': (without('iscrowd'), 'iscrowd-missing', 'error', 8),
    'iscrowd null': (one(iscrowd=None), 'iscrowd-type', 'error', 1),
    'iscrowd text': (one(iscrowd='0'), 'iscrowd-type', 'error', 1),
    'iscrowd 2': (one(iscrowd=2), 'iscrowd-type', 'error', 1),
    'crowd': (one(iscrowd=1), 'annotation-crowd', 'note', 1),
    'ignore': (one(ignore=1), 'annotation-ignored', 'warning', 1),
    'no id': (without('id'), 'annotation-id-missing', 'error', 8),
    'id null': (every('id', None), 'annotation-id-type', 'error', 8),
    'id text': (one(id='3'), 'annotation-id-type', 'error', 1),
    'id twice': (one(id=1), 'annotation-id-duplicate', 'error', 1),
    'id 0': (one(id=0), 'annotation-id-zero', 'warning', 1),
    'no image_id': (without('image_id'), 'annotation-image-missing', 'error', 8),
    'image_id text': (every('image_id', '1'), 'annotation-image-type', 'error', 8),
    'image_id unknown': (one(image_id=9), 'annotation-image-unknown', 'error', 1),
    'image_id list': (one(image_id=[1]), 'annotation-image-unknown', 'error', 1),
    'no category_id': (without('category_id'), 'annotation-category-missing', 'error', 8),
    'category_id text': (one(category_id='7'), 'annotation-category-type', 'error', 1),
    'category_id unknown': (one(category_id=2), 'annotation-category-unknown', 'error', 1),
    'same box twice': (
        lambda doc: doc['annotations'].append({**doc['annotations'][0], 'id': 99}),
        'annotation-duplicate', 'warning', 1,
    ),
    'no bbox': (without('bbox'), 'box-missing', 'error', 8),
    'bbox null': (one(bbox=None), 'box-type', 'error', 1),
    'bbox text': (one(bbox=['1', '2', '3', '4']), 'box-type', 'error', 1),
    'bbox of three': (one(bbox=[1, 2, 3]), 'box-type', 'error', 1),
    'bbox NaN': (one(bbox=[float('nan'), 2, 3, 4]), 'box-not-finite', 'error', 1),
    'bbox huge': (one(bbox=[10**400, 2, 3, 4]), 'box-not-finite', 'error', 1),
    'bbox negative': (one(bbox=[50, 50, -20, 20]), 'box-negative', 'error', 1),
    'bbox empty': (one(bbox=[50, 50, 0, 20]), 'box-empty', 'error', 1),
    'bbox thin': (one(bbox=[50, 50, 0.5, 20]), 'box-thin', 'error', 1),
    'bbox outside': (one(bbox=[500, 50, 5, 5]), 'box-outside', 'error', 1),
    'bbox beyond': (one(bbox=[150, 50, 30, 5]), 'box-beyond', 'error', 1),
    'boxes as corners': (as_xyxy, 'boxes-xyxy', 'error', 8),
    'boxes as centers': (as_center, 'boxes-center', 'error', 8),
    'boxes normalized': (normalized, 'boxes-normalized', 'error', 8),
    'sizes exchanged': (swapped, 'boxes-swapped', 'error', 8),
    'segmentation text': (one(segmentation='x'), 'mask-type', 'warning', 1),
    'polygon of two points': (one(segmentation=[[1, 2, 3, 4]]), 'mask-polygon', 'warning', 1),
    'polygon of odd length': (one(segmentation=[[1, 2, 3, 4, 5, 6, 7]]), 'mask-polygon', 'warning', 1),
    'polygon with NaN': (one(segmentation=[[1, 2, 3, 4, 5, float('nan')]]), 'mask-polygon', 'warning', 1),
    'polygon of text': (one(segmentation=[[1, 2, 3, '4', 5, 6]]), 'mask-polygon', 'warning', 1),
    'polygon outside': (one(segmentation=[[1, 2, 3, 4, 500, 6]]), 'mask-outside', 'warning', 1),
    'RLE too short': (one(segmentation=dict(size=[120, 160], counts=[5, 6])), 'mask-rle', 'warning', 1),
    'RLE of another size': (one(segmentation=dict(size=[10, 10], counts=[90, 10])), 'mask-rle', 'warning', 1),
    'RLE cut off': (one(segmentation=dict(size=[120, 160], counts='``')), 'mask-rle', 'warning', 1),
    'no annotation': (lambda doc: doc['annotations'].clear(), 'boxes-none', 'error', 1),
    'entry is text': (lambda doc: doc['annotations'].append('x'), 'entry-type', 'error', 1),
    'no width': (without('width', 'images'), 'image-field', 'error', 4),
    'no file_name': (without('file_name', 'images'), 'image-field', 'error', 4),
    'no image id': (without('id', 'images'), 'image-field', 'error', 4),
    'width null': (image(width=None), 'image-size-type', 'error', 1),
    'width -1': (image(width=-1, height=-1), 'image-size-type', 'error', 1),
    'width text': (image(width='160'), 'image-size-type', 'error', 1),
    'image id twice': (image(id=1), 'image-id-duplicate', 'error', 1),
    'image id real': (image(id=1.5), 'image-id-type', 'error', 1),
    'image id text': (image(id='2'), 'image-id-text', 'warning', 1),
    'category id text': (category(id='7'), 'category-id-text', 'warning', 1),
    'absolute path': (image(file_name='/data/2.jpg'), 'image-name-absolute', 'warning', 1),
    'file twice': (image(file_name='1.jpg'), 'image-name-duplicate', 'error', 1),
    'file name empty': (image(file_name=''), 'image-name', 'error', 1),
    'file name a number': (image(file_name=2), 'image-name', 'error', 1),
    'file name of Windows': (image(file_name='..\\images\\2.jpg'), 'image-name-windows', 'error', 1),
    'file name with a drive': (image(file_name='C:/images/2.jpg'), 'image-name-windows', 'error', 1),
    'image without a box': (image(id=99), 'image-empty', 'note', 1),
    'category id twice': (category(id=1), 'category-id-duplicate', 'error', 1),
    'category name twice': (category(name='box'), 'category-name-duplicate', 'error', 1),
    'category without name': (without('name', 'categories'), 'category-field', 'error', 2),
    'category name a number': (category(name=3), 'category-field', 'error', 1),
    'category name with a space': (category(name='disc '), 'category-name-space', 'warning', 1),
    'category unused': (lambda doc: doc['categories'].append(dict(id=9, name='rod')), 'category-unused', 'note', 1),
}  # fmt: skip


@pytest.mark.parametrize('fault', FAULTS)
def test_each_fault_is_found(coco, fault):
    change, rule, severity, count = FAULTS[fault]
    change(coco.doc)
    report = check_coco(coco.save())
    found = {finding.rule: (finding.severity, finding.count) for finding in report.findings}
    assert found.get(rule) == (severity, count), report.format_table()
    assert report.ok == (report.exit_code == 0) == (not report.errors)
    for finding in report.findings:
        assert RULES[finding.rule] and len(finding.examples) <= 5
        assert finding.rule in report.format_table()
    assert json.loads(json.dumps(report.to_dict()))['ok'] == report.ok


def test_few_faults_that_the_loader_leaves_out_are_warnings(coco):
    first = coco.doc['annotations'][0]
    coco.doc['annotations'] += [{**first, 'id': 100 + i, 'bbox': [0.1 * i, 0, 50, 50]} for i in range(1000)]
    coco.doc['annotations'][0]['bbox'] = [5, 5, 0, 5]
    report = check_coco(coco.save())
    assert report.ok and [(f.rule, f.severity) for f in report.warnings] == [('box-empty', 'warning')]
    assert report.summaries[0].left_out['boxes without area or outside'] == 1


def test_faulty_masks_are_errors_where_masks_are_used(coco):
    coco.doc['annotations'][0]['segmentation'] = [[1, 2]]
    assert check_coco(coco.save()).ok
    assert [finding.rule for finding in check_coco(coco.save(), masks=True).errors] == ['mask-polygon']


def test_real_run_lengths_are_accepted(coco):
    mask = np.zeros((120, 160), np.uint8, order='F')
    mask[5:80, 10:90], mask[100:, 3], mask[::7, 120:140] = 1, 1, 1
    encoded = coco_mask.encode(mask)
    runs = [len(list(run)) for run in np.split(mask.ravel('F'), np.flatnonzero(np.diff(mask.ravel('F'))) + 1)]
    coco.doc['annotations'][0]['segmentation'] = dict(size=[120, 160], counts=encoded['counts'].decode())
    coco.doc['annotations'][1]['segmentation'] = dict(size=[120, 160], counts=runs)
    assert check_coco(coco.save(), masks=True).findings == []


def test_classes_are_compared(coco):
    report = check_coco(coco.save(), classes=['box', 'rod'])
    assert [(finding.rule, finding.examples) for finding in report.findings] == [
        ('config-classes', ['rod']), ('config-classes-left-out', ['disc']),
    ]  # fmt: skip
    assert report.summaries[0].per_class == {'box': 4}
    assert report.summaries[0].left_out['annotations of other categories'] == 4


@pytest.mark.parametrize('mark', [b'\xef\xbb\xbf', b'utf-16'])
def test_a_byte_order_mark_is_found(coco, mark):
    text = coco.save().read_text()
    coco.file.write_bytes(text.encode('utf-16') if mark == b'utf-16' else mark + text.encode())
    assert [finding.rule for finding in check_coco(coco.file).errors] == ['json-encoding']


def test_many_classes_fit_a_screen(coco):
    coco.doc['categories'] += [dict(id=10 + i, name=f'class {i}') for i in range(1000)]
    lines = check_coco(coco.save()).format_table().splitlines()
    assert len(lines) < 25 and max(map(len, lines)) < 200
