"""Data changed at random: a check reports or refuses in one line, changes nothing, and what it passes can be loaded.

The number of mutants is that of LCNET_MM_MUTANTS, 200 by default; with a larger one they are new in every run.
"""

import contextlib
import copy
import io
import json
import os
import shutil
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import cv2
import data_cases
import mmcv
import numpy as np
import pytest
from hypothesis import HealthCheck, currently_in_test_context, event, given, settings
from hypothesis import strategies as st
from PIL import Image

from lcnet_mm.apis import UserError, check_dataset, fix_annotations

MUTANTS = int(os.environ.get('LCNET_MM_MUTANTS', 200))


def mutants(share):
    """Settings for a share of all mutants."""
    return settings(
        max_examples=max(1, int(MUTANTS * share)),
        deadline=None,
        database=None,
        derandomize=MUTANTS <= 200,
        suppress_health_check=list(HealthCheck),
    )


TEXTS = st.sampled_from(
    [
        '',
        ' ',
        '1',
        '0',
        '007',
        '-1',
        'nan',
        '1.jpg',
        '..\\1.jpg',
        'C:/1.jpg',
        '/',
        '..',
        '.',
        'a\0b',
        'x' * 5000,
        '\ud800',
        'é',
    ]
)
NUMBERS = st.sampled_from(
    [0, 1, 2, -1, 0.5, 1e-9, -0.0, 1e308, 10**30, 10**400, float('nan'), float('inf'), 159, 161, 2**63]
)
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    NUMBERS,
    TEXTS,
    st.integers(-10, 200),
    st.floats(-300, 300),
    st.sampled_from(
        [[], {}, [[]], [1, 2], [1, 2, 3, 4], [0, 0, 0, 0], ['1', '2', '3', '4'], {'counts': [1], 'size': [1, 1]}]
    ),
    st.lists(st.floats(-100, 300), min_size=4, max_size=4),
    st.builds(
        lambda counts: dict(size=[120, 160], counts=counts), st.text('0123456789:;<=>?@ABCOPQ_`abno', max_size=12)
    ),
)


def places(value, path=()):
    """Yield the path of everything inside a JSON document."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in items:
        yield (*path, key)
        yield from places(part, (*path, key))


@st.composite
def changed(draw, document):
    """A JSON document with up to three changes, some of them in all entries of a list."""
    document = copy.deepcopy(document)
    for _ in range(draw(st.integers(1, 3))):
        paths = list(places(document))
        if not paths:
            break
        path = draw(st.sampled_from(paths))
        action = draw(st.sampled_from(['replace', 'remove', 'repeat', 'everywhere', 'remove everywhere']))
        value = draw(VALUES)
        parents = [document]
        for key in path[:-1]:
            parents.append(parents[-1][key])
        targets = [parents[-1]]
        if 'everywhere' in action and len(path) == 3 and isinstance(parents[1], list):
            targets = [entry for entry in parents[1] if isinstance(entry, dict)]
        for target in targets:
            if action == 'repeat' and isinstance(target, list):
                target.append(copy.deepcopy(target[path[-1]]))
            elif 'remove' in action and (isinstance(target, list) or path[-1] in target):
                del target[path[-1]]
            elif 'remove' not in action:
                # A copy: later changes must not reach the values that hypothesis draws from.
                target[path[-1]] = copy.deepcopy(value)
    return document


@st.composite
def damaged(draw, content):
    """Bytes of a file that were cut, changed, or are those of something else."""
    action = draw(st.sampled_from(['cut', 'change', 'insert', 'other']))
    if action == 'other':
        return draw(
            st.sampled_from([b'', b'\0', b'<html></html>', b'\xef\xbb\xbf' + content, b'\xff\xd8\xff', b'[' * 5000])
        )
    if action == 'cut':
        return content[: draw(st.integers(0, max(len(content) - 1, 0)))]
    place = draw(st.integers(0, max(len(content) - 1, 0)))
    part = draw(st.binary(min_size=1, max_size=4))
    return content[:place] + part + content[place + (len(part) if action == 'change' else 0) :]


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp('mutants')


def note(outcome):
    """Count an outcome for ``--hypothesis-show-statistics``."""
    if currently_in_test_context():
        event(outcome)


def check(source, *args, **options):
    """Check, and return the report, or None where the data were refused; nothing on disk may change."""
    root = Path(source).parent
    before = {path: path.lstat().st_mtime_ns for path in root.rglob('*')}
    try:
        report = check_dataset(source, *args, **options)
    except UserError as error:
        assert '\n' not in str(error).strip() and str(error)
        note('refused')
        return None
    finally:
        assert {path: path.lstat().st_mtime_ns for path in root.rglob('*')} == before
    # The report is text and JSON whatever stood in the data.
    report.format_table().encode()
    json.loads(json.dumps(report.to_dict()))
    note('passed' if report.ok else 'errors')
    return report


@pytest.fixture(scope='module')
def coco_folder(folder):
    return data_cases.CocoFolder(folder / 'coco')


@mutants(0.4)
@given(data=st.data())
def test_coco_files(coco_folder, data):
    document = data.draw(changed(coco_folder.doc))
    coco_folder.file.write_text(json.dumps(document))
    decode = data.draw(st.booleans())
    report = check(coco_folder.file, coco_folder.images, decode=decode, masks=True)
    if report is not None and report.ok:
        load_and_evaluate(coco_folder, document)
    # A repair leaves nothing to repair.
    out = coco_folder.file.with_name('fixed.json')
    again = coco_folder.file.with_name('again.json')
    before = coco_folder.file.read_bytes()
    try:
        if report is None:
            with pytest.raises(UserError):
                fix_annotations(coco_folder.file, out, coco_folder.images)
            return
        fix_annotations(coco_folder.file, out, coco_folder.images)
        changes = fix_annotations(out, again, coco_folder.images)
        assert all(change.startswith('NOT') for change in changes), changes
        assert coco_folder.file.read_bytes() == before
    finally:
        out.unlink(missing_ok=True)
        again.unlink(missing_ok=True)


def load_and_evaluate(coco_folder, document):
    """Do what training and evaluation do with a file that was passed."""
    from mmdet.datasets import CocoDataset
    from mmdet.datasets.api_wrappers import COCO
    from pycocotools.cocoeval import COCOeval

    names = [category['name'] for category in document['categories']]
    with contextlib.redirect_stdout(io.StringIO()):
        dataset = CocoDataset(
            ann_file=str(coco_folder.file),
            data_prefix=dict(img=f'{coco_folder.images}/'),
            metainfo=dict(classes=tuple(names)),
            filter_cfg=dict(filter_empty_gt=False),
            pipeline=[],
        )
        assert sum(len(dataset.get_data_info(i)['instances']) for i in range(len(dataset))) > 0
        truth = COCO(str(coco_folder.file))
        kept = [a for a in document['annotations'] if a['bbox'][2] > 0]
        results = [{**{key: a[key] for key in ('image_id', 'category_id', 'bbox')}, 'score': 0.5} for a in kept]
        evaluation = COCOeval(truth, truth.loadRes(results), 'bbox')
        evaluation.evaluate()
        evaluation.accumulate()
    for entry in document['images']:
        image = mmcv.imread(str(coco_folder.images / entry['file_name']))
        assert image.shape[:2] == (entry['height'], entry['width'])


@pytest.fixture(scope='module')
def voc_folder(folder):
    return data_cases.make_voc(folder / 'voc' / 'VOC2007')


@mutants(0.2)
@given(data=st.data())
def test_voc_files(voc_folder, data):
    root = ElementTree.fromstring(data_cases.VOC_XML)
    for _ in range(data.draw(st.integers(1, 2))):
        parents = [element for element in root.iter() if len(element)]
        if not parents:
            break
        parent = data.draw(st.sampled_from(parents))
        element = data.draw(st.sampled_from(list(parent)))
        action = data.draw(st.sampled_from(['remove', 'text', 'repeat', 'rename']))
        if action == 'remove':
            parent.remove(element)
        elif action == 'repeat':
            parent.append(copy.deepcopy(element))
        elif action == 'rename':
            element.tag = 'other'
        else:
            text = data.draw(st.one_of(st.none(), TEXTS, st.integers(-5, 200).map(str), st.floats().map(str)))
            element.text = text if text is None else text.replace('\0', '').replace('\ud800', '')
    (voc_folder / 'Annotations' / 'b.xml').write_bytes(ElementTree.tostring(root))
    report = check(voc_folder, None, ['box', 'disc'])
    if report is not None and report.ok:
        from mmdet.datasets import VOCDataset

        dataset = VOCDataset(
            data_root=f'{voc_folder.parent}/',
            ann_file='VOC2007/ImageSets/Main/train.txt',
            data_prefix=dict(sub_data_root='VOC2007/'),
            metainfo=dict(classes=('box', 'disc')),
            pipeline=[],
        )
        (summary,) = report.summaries
        boxes = [
            box for i in range(len(dataset)) for box in dataset.get_data_info(i)['instances'] if not box['ignore_flag']
        ]
        assert len(boxes) == sum(summary.per_class.values())


@pytest.fixture(scope='module')
def list_folder(folder):
    return data_cases.make_class_folders(folder / 'lists')


LINES = st.one_of(
    st.sampled_from(['cat/0.jpg 0', 'cat/1.jpg 0', 'dog/0.jpg 1', 'fox/1.jpg 2']),
    st.sampled_from(
        ['', ' ', 'cat/0.jpg', 'cat/0.jpg\t0', 'cat/0.jpg  0', 'cat\\0.jpg 0', 'cat/0.JPG 0', '.. 0', 'cat 0', '# x']
    ),
    st.builds('{} {}'.format, st.text(max_size=5), st.one_of(st.integers(-2, 5), st.floats(), st.text(max_size=2))),
)


@mutants(0.15)
@given(lines=st.lists(LINES, max_size=5), end=st.sampled_from(['\n', '\r\n']), mark=st.sampled_from(['', '\ufeff']))
def test_lists(list_folder, lines, end, mark):
    file = list_folder / 'list.txt'
    file.write_bytes((mark + end.join(lines)).encode('utf-8', 'surrogatepass'))
    report = check(file, list_folder / 'train', ['cat', 'dog', 'fox'])
    if report is not None and report.ok and any(line.strip()[-1:].isdigit() for line in lines):
        from mmpretrain.datasets import CustomDataset

        dataset = CustomDataset(
            ann_file=str(file),
            data_prefix=f'{list_folder}/train',
            metainfo=dict(classes=['cat', 'dog', 'fox']),
            pipeline=[],
        )
        labels = [dataset.get_data_info(i)['gt_label'] for i in range(len(dataset))]
        assert np.bincount(labels, minlength=3).tolist() == list(report.summaries[0].per_class.values())
        assert all(Path(dataset.get_data_info(i)['img_path']).is_file() for i in range(len(dataset)))


@pytest.fixture(scope='module')
def map_folder(folder):
    return data_cases.make_label_maps(folder / 'maps')


@mutants(0.15)
@given(data=st.data())
def test_label_maps(map_folder, data):
    shape = data.draw(st.sampled_from([(48, 64)] * 4 + [(64, 48), (48, 64, 3), (48, 64, 4), (1, 1), (49, 64)]))
    kind = data.draw(st.sampled_from(['uint8'] * 4 + ['uint16', 'int32', 'float32', 'bool']))
    values = data.draw(st.lists(st.sampled_from([0, 1, 2, 3, 128, 254, 255, 256, 1000]), min_size=1, max_size=3))
    pixels = np.resize(np.array(values), shape).astype(kind)
    target = map_folder / 'labels' / '1.png'
    form = data.draw(st.sampled_from(['PNG'] * 3 + ['TIFF', 'BMP', 'JPEG']))
    try:
        Image.fromarray(pixels).save(target, format=form)
    except (OSError, TypeError, ValueError):
        target.unlink(missing_ok=True)
    report = check(map_folder / 'images', None, ['background', 'crack'], labels=map_folder / 'labels')
    if report is not None and report.ok:
        from mmseg.datasets.transforms import LoadAnnotations

        info = dict(seg_map_path=str(target), reduce_zero_label=False, seg_fields=[], img_path='')
        labels = LoadAnnotations().transform(info)['gt_seg_map']
        assert labels.shape == (48, 64) and set(np.unique(labels)) <= {0, 1, 255}


@pytest.fixture(scope='module')
def all_folders(folder, coco_folder, voc_folder, list_folder, map_folder):
    """Files of every kind, each with what is checked for it."""
    root = folder / 'damaged'
    data_cases.make_voc(root / 'voc' / 'VOC2007')
    data_cases.make_class_folders(root / 'classes')
    data_cases.make_label_maps(root / 'maps')
    coco = data_cases.CocoFolder(root / 'coco')
    coco.save()
    return [
        (coco.file, coco.file, coco.images),
        (coco.images / '2.jpg', coco.file, coco.images),
        (root / 'voc/VOC2007/Annotations/b.xml', root / 'voc/VOC2007', None),
        (root / 'voc/VOC2007/ImageSets/Main/train.txt', root / 'voc/VOC2007', None),
        (root / 'classes/train.txt', root / 'classes/train.txt', root / 'classes/train'),
        (root / 'classes/train/cat/0.jpg', root / 'classes', None),
        (root / 'maps/labels/1.png', root / 'maps', None),
        (root / 'maps/images/1.jpg', root / 'maps', None),
    ]


@mutants(0.1)
@given(data=st.data())
def test_damaged_files(all_folders, data):
    file, source, images = data.draw(st.sampled_from(all_folders))
    content = file.read_bytes()
    try:
        file.write_bytes(data.draw(damaged(content)))
        report = check(source, images, decode=True)
        if report is not None and report.ok and file.suffix == '.jpg':
            assert cv2.imread(str(file)) is not None
    finally:
        file.write_bytes(content)


def test_folders_of_any_content_are_refused_or_reported(folder, tmp_path):
    for name in ('empty', 'strange'):
        (tmp_path / name).mkdir()
    (tmp_path / 'strange' / 'é\n').mkdir()
    (tmp_path / 'strange' / 'link').symlink_to(tmp_path / 'nowhere')
    shutil.copy(__file__, tmp_path / 'strange' / 'a.jpg')
    for source in (tmp_path / 'empty', tmp_path / 'strange', tmp_path / 'none', Path(__file__)):
        report = check(source)
        assert report is None or not report.ok
