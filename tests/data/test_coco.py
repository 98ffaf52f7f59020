import json

import numpy as np
import pytest
from PIL import Image

from lcnet_mm.data import AnnotationError, check_coco, read_categories

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
        ('{"images": []}', 'no categories'),
        ('{"categories": []}', 'no categories'),
        ('{"categories": ["cat"]}', 'no categories'),
        ('[1, 2]', 'holds a list'),
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


def good() -> dict:
    return dict(
        images=[dict(id=i, file_name=f'{i}.png', width=20, height=10) for i in (1, 2)],
        annotations=[
            dict(id=1, image_id=1, category_id=1, bbox=[0, 0, 5, 5], iscrowd=0),
            dict(id=2, image_id=2, category_id=7, bbox=[15.5, 4, 5, 5], iscrowd=0),
        ],
        categories=CATEGORIES,
    )


def test_a_good_file_has_no_findings(tmp_path):
    report = check_coco(write(tmp_path / 'a.json', good()), classes=[c['name'] for c in CATEGORIES])
    assert report.ok and report.findings == []
    assert report.per_category == {'cat': 1, 'a "dog" ] {': 1}


def annotation(**changes) -> dict:
    return dict(dict(id=3, image_id=1, category_id=1, bbox=[0, 0, 5, 5], iscrowd=0), **changes)


@pytest.mark.parametrize(
    'added, text',
    [
        (annotation(id=2), 'annotation id used twice'),
        (annotation(image_id=9), 'annotation of an unknown image'),
        (annotation(category_id=2), 'annotation of an unknown category'),
        (annotation(bbox=[0, 0, 0, 5]), 'box without area'),
        (annotation(bbox=[0, 0, 5, -1]), 'box without area'),
        (annotation(bbox=[17, 0, 5, 5]), 'box outside its image'),
        (annotation(bbox=[0, -2, 5, 5]), 'box outside its image'),
        (annotation(bbox=[0, 0, float('nan'), 5]), 'box with NaN or infinity'),
        (annotation(bbox=[0, 0, '5', 5]), 'box that is not four numbers'),
        (annotation(bbox=[0, 0, 5]), 'box that is not four numbers'),
    ],
)
def test_each_fault_of_a_box_is_found(tmp_path, added, text):
    content = good()
    content['annotations'].append(added)
    report = check_coco(write(tmp_path / 'a.json', content))
    assert not report.ok
    assert [(finding.text, finding.count) for finding in report.findings] == [(text, 1)]


def test_remarks_are_no_errors(tmp_path):
    content = good()
    content['annotations'] = [annotation(iscrowd=1)]
    report = check_coco(write(tmp_path / 'a.json', content))
    assert report.ok
    assert {finding.text for finding in report.findings} == {
        'crowd annotation', 'category without a box', 'image without a box',
    }  # fmt: skip


def test_images_and_classes(tmp_path):
    content = good()
    content['images'] += [
        dict(id=3, file_name='3.png', width=20, height=10),
        dict(id=4, file_name='4.png', width=20, height=10),
        dict(id=4, file_name='2.png', width=20, height=10),
        dict(id=5, file_name='5.png'),
    ]
    for name, size in (('1', (20, 10)), ('2', (20, 10)), ('3', (10, 20))):
        Image.fromarray(np.zeros((size[1], size[0], 3), np.uint8)).save(tmp_path / f'{name}.png')
    (tmp_path / '4.png').write_bytes(b'no image')
    report = check_coco(write(tmp_path / 'a.json', content), tmp_path, classes=['cat', 'horse'])
    errors = {finding.text: finding.count for finding in report.findings if finding.error}
    assert errors == {
        'image of another size than listed': 1,
        'image file that cannot be opened': 1,
        'image id used twice': 1,
        'image file listed twice': 1,
        'image without width and height': 1,
        'class of the config that is no category of the file': 1,
        'category of the file that is no class of the config': 1,
    }
    assert 'errors were found' in report.format_table()
