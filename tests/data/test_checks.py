"""Checks of all data that a config names, before anything is built."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from lcnet_mm.apis import UserError, check_config, check_data, load_config
from lcnet_mm.data.checks import check_trained_classes

DEMO = 'configs/demo/lcnet_0.5x_digits.py'
COCO = 'configs/picodet_like/lcnet_1x_coco.py'
SEGMENTOR = 'configs/deeplabv3plus/lcnet_0.5x_cityscapes.py'
CLASSIFIER = 'configs/imagenet/pplcnet_0.25x_in1k.py'


def options(root: Path) -> dict:
    paths = {f'{split}_dataloader.dataset.data_root': f'{root}/' for split in ('train', 'val', 'test')}
    evaluators = {
        f'{split}_evaluator.ann_file': f'{root}/annotations/instances_val2017.json' for split in ('val', 'test')
    }
    return {**paths, **evaluators, 'train_dataloader.batch_size': 4}


@pytest.fixture
def copy(digits, tmp_path):
    """Digits that a test may spoil."""
    return shutil.copytree(digits, tmp_path / 'copy')


def edit(root, split, change):
    file = root / 'annotations' / f'instances_{split}2017.json'
    doc = json.loads(file.read_text())
    change(doc)
    file.write_text(json.dumps(doc))


def test_good_data_pass(digits):
    cfg = load_config(DEMO, options(digits))
    report = check_data(cfg, ('train', 'val', 'test'))
    assert not report.findings
    assert [(s.split, s.images, s.used) for s in report.summaries] == [('train', 12, 12), ('val, test', 4, 4)]
    assert check_config(cfg, decode=True).to_dict() == report.to_dict()


def test_missing_data_name_the_file_and_the_place(tmp_path):
    cfg = load_config(COCO, options(tmp_path))
    with pytest.raises(UserError) as caught:
        check_data(cfg, ('train',))
    message = str(caught.value)
    assert 'annotations/instances_train2017.json is missing' in message
    assert str(tmp_path) in message and 'train_dataloader.dataset.data_root' in message


def test_missing_image_folder(copy):
    shutil.rmtree(copy / 'val2017')
    cfg = load_config(DEMO, options(copy))
    check_data(cfg, ('train',))
    with pytest.raises(UserError, match='val data: val2017 is missing'):
        check_data(cfg, ('val',))


def test_classes_that_the_file_lacks(digits):
    with pytest.raises(UserError, match=r"no category 'person', 'bicycle'.*categories are '0', '1'"):
        check_data(load_config(COCO, options(digits)), ('train',))


def test_classes_in_another_order_would_be_permuted(digits):
    cfg = load_config(DEMO, options(digits))
    cfg.train_dataloader.dataset.metainfo.classes = tuple('1023456789')
    with pytest.raises(UserError, match=r"another order.*list them as '0', '1'"):
        check_data(cfg, ('train',))


def test_number_of_classes_and_string_classes(digits):
    cfg = load_config(DEMO, options(digits) | {'model.bbox_head.num_classes': 9})
    with pytest.raises(UserError, match=r'10 classes, model.bbox_head.num_classes is 9'):
        check_data(cfg, ('train',))
    cfg = load_config(DEMO, options(digits))
    cfg.train_dataloader.dataset.metainfo.classes = 'zero'
    with pytest.raises(UserError, match="the string 'zero'"):
        check_data(cfg, ('train',))


def test_truncated_annotations(copy):
    file = copy / 'annotations' / 'instances_train2017.json'
    file.write_bytes(file.read_bytes()[:500])
    with pytest.raises(UserError, match=r'instances_train2017\.json is not valid JSON'):
        check_data(load_config(DEMO, options(copy)), ('train',))


def test_wrapped_datasets_are_checked(digits, tmp_path):
    cfg = load_config(DEMO, options(digits))
    inner = cfg.train_dataloader.dataset
    missing = {**json.loads(json.dumps(inner.to_dict())), 'data_root': str(tmp_path)}
    cfg.train_dataloader.dataset = dict(
        type='RepeatDataset', times=2, dataset=dict(type='ConcatDataset', datasets=[inner, missing])
    )
    with pytest.raises(UserError, match='is missing'):
        check_data(cfg, ('train',))


# What the user did to the annotations, and words of the one line that stops the training.
SPOILED = {
    'no area': (lambda doc: [a.pop('area') for a in doc['annotations']], 'without area'),
    'area 0': (lambda doc: [a.update(area=0) for a in doc['annotations']], 'area is not positive'),
    'area null': (lambda doc: [a.update(area=None) for a in doc['annotations']], 'area is not a finite number'),
    'sizes -1': (lambda doc: [i.update(width=-1, height=-1) for i in doc['images']], 'not a positive number'),
    'sizes null': (lambda doc: [i.update(width=None, height=None) for i in doc['images']], 'None'),
    'boxes of text': (lambda doc: [a.update(bbox=[*map(str, a['bbox'])]) for a in doc['annotations']], 'four numbers'),
    'image_id text': (lambda doc: [a.update(image_id=str(a['image_id'])) for a in doc['annotations']], 'is text'),
    'no id': (lambda doc: [a.pop('id') for a in doc['annotations']], 'without id'),
    'no annotation': (lambda doc: doc['annotations'].clear(), 'no image has a box'),
    'Windows names': (lambda doc: doc['images'][0].update(file_name='..\\images\\a.jpg'), 'Windows'),
    'missing image': (lambda doc: doc['images'][0].update(file_name='none.jpg'), 'image file missing.*none.jpg'),
}


@pytest.mark.parametrize('fault', SPOILED)
def test_annotations_are_checked_before_training(copy, fault):
    change, words = SPOILED[fault]
    edit(copy, 'train', change)
    with pytest.raises(UserError, match=rf'^train data: .*{words}'):
        check_data(load_config(DEMO, options(copy)), ('train', 'val'))


def test_iscrowd_is_needed_in_evaluation_only(copy):
    for split in ('train', 'val'):
        edit(copy, split, lambda doc: [a.pop('iscrowd') for a in doc['annotations']])
    cfg = load_config(DEMO, options(copy))
    assert check_data(cfg, ('train',)).ok
    with pytest.raises(UserError, match=r'^val data: .*without iscrowd'):
        check_data(cfg, ('train', 'val'))


@pytest.mark.parametrize('content', [b'', b'<html>no image</html>'])
def test_an_image_that_is_none_is_named(copy, content):
    path = sorted((copy / 'val2017').iterdir())[0]
    path.write_bytes(content)
    with pytest.raises(UserError, match=path.name):
        check_data(load_config(DEMO, options(copy)), ('test',))


def test_a_photo_that_the_loader_turns_is_found(copy):
    path = sorted((copy / 'val2017').iterdir())[1]
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(path) as stored:
        stored.save(path, exif=exif.tobytes())
    with pytest.raises(
        UserError, match=rf'val data: image that the loader turns by its EXIF.*{path.name} is loaded as'
    ):
        check_data(load_config(DEMO, options(copy)), ('val',))


def test_another_order_in_val_is_refused_and_following_the_advice_helps(copy):
    edit(copy, 'val', lambda doc: doc['categories'].reverse())
    cfg = load_config(DEMO, options(copy))
    with pytest.raises(UserError, match=r"val data: .*reorder \"categories\" in this file.*'0', '1'"):
        check_data(cfg, ('val',))
    # What an earlier message advised: classes in the order of this file.
    cfg.val_dataloader.dataset.metainfo.classes = tuple('9876543210')
    with pytest.raises(UserError, match='another order than those of the training data'):
        check_data(cfg, ('val',))


def test_the_evaluator_reads_the_file_of_the_data(digits, copy):
    cfg = load_config(DEMO, {**options(digits), 'val_evaluator.ann_file': str(copy / 'annotations/none.json')})
    with pytest.raises(UserError, match=r'val_evaluator.ann_file .*none.json does not exist'):
        check_data(cfg, ('val',))
    cfg.val_evaluator.ann_file = str(digits / 'annotations' / 'instances_train2017.json')
    with pytest.raises(UserError, match=r'but val_dataloader reads .*instances_val2017.json'):
        check_data(cfg, ('val',))
    # A copy of it is as good.
    cfg.val_evaluator.ann_file = str(copy / 'annotations' / 'instances_val2017.json')
    assert check_data(cfg, ('val',)).ok


def test_fewer_images_than_a_batch(digits, monkeypatch):
    cfg = load_config(DEMO, {**options(digits), 'train_dataloader.batch_size': 128})
    with pytest.raises(UserError, match=r'12 images are fewer than a batch of 128.*train_dataloader.batch_size'):
        check_data(cfg, ('train',))
    cfg.train_dataloader.drop_last = False
    assert [finding.rule for finding in check_data(cfg, ('train',)).warnings] == ['config-batch-small']
    cfg.train_dataloader.update(drop_last=True, batch_size=8)
    assert not check_data(cfg, ('train',)).findings
    monkeypatch.setenv('WORLD_SIZE', '2')
    with pytest.raises(UserError, match='6 images for each of 2 processes'):
        check_data(cfg, ('train',))
    cfg.train_dataloader.dataset = dict(type='RepeatDataset', times=2, dataset=cfg.train_dataloader.dataset)
    assert not check_data(cfg, ('train',)).findings
    # The first process has checked it.
    monkeypatch.setenv('RANK', '1')
    cfg.train_dataloader.batch_size = 128
    assert not check_data(cfg, ('train',)).summaries


def test_images_of_the_training_in_val_are_found_by_content(copy):
    train, val = (sorted((copy / name).iterdir()) for name in ('train2017', 'val2017'))
    shutil.copy(train[3], val[1])
    height, width = cv2.imread(str(val[1])).shape[:2]

    def describe(doc):
        (entry,) = (entry for entry in doc['images'] if entry['file_name'] == val[1].name)
        entry.update(width=width, height=height)
        for row, annotation in enumerate(doc['annotations']):
            annotation.update(bbox=[row, 0, 10, 10], area=100)

    edit(copy, 'val', describe)
    report = check_data(load_config(DEMO, options(copy)), ('train', 'val'))
    assert [(f.rule, f.severity, f.count) for f in report.findings] == [('split-shared', 'warning', 1)]
    assert report.warnings[0].examples == [f'{val[1]} = {train[3]}']


def test_all_errors_of_a_config_are_reported_with_their_split(copy):
    shutil.copy(copy / 'annotations' / 'instances_train2017.json', copy / 'other.json')
    shutil.rmtree(copy / 'val2017')
    (copy / 'annotations' / 'instances_train2017.json').write_text('{}')
    cfg = load_config(DEMO, options(copy))
    cfg.val_evaluator.ann_file = str(copy / 'other.json')
    with pytest.raises(UserError, match=r'more kinds of errors; lcnet check lists all'):
        check_data(cfg, ('train', 'val'))
    report = check_config(cfg)
    assert {(finding.rule, finding.source) for finding in report.errors} == {
        ('config-data', 'train'), ('config-file', 'val'), ('config-evaluator', 'val'), ('config-file', 'test'),
    }  # fmt: skip


def test_copies_in_a_split_are_noted(class_folders):
    shutil.copy(class_folders / 'train' / 'cat' / '0.jpg', class_folders / 'train' / 'dog' / '9.jpg')
    findings = check_data(classifier(class_folders), ('train', 'val')).findings
    assert [(f.rule, f.severity, f.count) for f in findings] == [('file-duplicate', 'note', 1)]


def test_classes_of_a_checkpoint(digits):
    cfg = load_config(DEMO, options(digits))
    check = check_trained_classes
    assert not check(cfg, dict(dataset_meta=dict(classes=tuple('0123456789'))), 'test').findings
    assert not check(cfg, {}, 'test').findings
    with pytest.raises(UserError, match='another order than those of the checkpoint'):
        check(cfg, dict(dataset_meta=dict(classes=list('1023456789'))), 'test')
    report = check(cfg, dict(CLASSES=[f'digit {i}' for i in range(10)]), 'test')
    assert [finding.rule for finding in report.warnings] == ['config-checkpoint-names']


def test_voc_of_a_config(voc):
    cfg = load_config(COCO, {'model.bbox_head.num_classes': 2, 'train_dataloader.batch_size': 2})
    cfg.train_dataloader.dataset = dict(
        type='VOCDataset',
        data_root=f'{voc.parent}/',
        ann_file='VOC2007/ImageSets/Main/train.txt',
        data_prefix=dict(sub_data_root='VOC2007/'),
        metainfo=dict(classes=('box', 'disc')),
        filter_cfg=dict(filter_empty_gt=True, min_size=32, bbox_min_size=32),
    )
    report = check_data(cfg, ('train',))
    assert not report.findings and report.summaries[0].per_class == {'box': 3, 'disc': 3}
    cfg.train_dataloader.dataset.filter_cfg.min_size = 150
    with pytest.raises(UserError, match=r'no box is left for the loader; .*images smaller than min_size: 3'):
        check_data(cfg, ('train',))
    cfg.model.bbox_head.num_classes = 5
    with pytest.raises(UserError, match=r'train data has 2 classes, model.bbox_head.num_classes is 5'):
        check_data(cfg, ('train',))


def classifier(root, **settings):
    cfg = load_config(CLASSIFIER, {'model.head.num_classes': 3, 'train_dataloader.batch_size': 2, **settings})
    for split in ('train', 'val'):
        cfg[f'{split}_dataloader'].dataset = dict(type='CustomDataset', data_root=str(root), data_prefix=split)
        cfg[f'{split}_evaluator'] = dict(type='Accuracy', topk=(1,))
    return cfg


def test_class_folders_of_a_config(class_folders):
    cfg = classifier(class_folders)
    report = check_data(cfg, ('train', 'val'))
    assert not report.findings
    assert [s.per_class for s in report.summaries] == [dict(cat=2, dog=2, fox=2), dict(cat=1, dog=1, fox=1)]
    cfg.val_evaluator.topk = (1, 5)
    with pytest.raises(UserError, match=r'val_evaluator.topk has 5, but there are only 3 classes'):
        check_data(cfg, ('val',))
    (class_folders / 'train' / '.ipynb_checkpoints').mkdir()
    with pytest.raises(UserError, match=r'train data: .*\.ipynb_checkpoints would become a class'):
        check_data(cfg, ('train',))


def test_lists_of_a_config(class_folders):
    cfg = classifier(class_folders)
    dataset = cfg.train_dataloader.dataset
    dataset.update(ann_file='train.txt', metainfo=dict(classes=('cat', 'dog', 'fox')))
    assert check_data(cfg, ('train',)).summaries[0].per_class == dict(cat=2, dog=2, fox=2)
    file = class_folders / 'train.txt'
    good = file.read_bytes()
    for text, words in (
        (good.replace(b'\n', b'\r\n') + b'\r\n', r'blank line.*train\.txt, line 7'),
        (good.replace(b'dog/', b'dog\\'), r'Windows.*train\.txt, line 3'),
        (good + b'cat/0.jpg 3\n', r'outside of the 3 classes.*line 7: 3'),
    ):
        file.write_bytes(text)
        with pytest.raises(UserError, match=words):
            check_data(cfg, ('train',))


def test_lists_of_unlabeled_images_tolerate_what_they_say(class_folders):
    (class_folders / 'mined.txt').write_text('cat/0.jpg\ncat/none.jpg\n\n')
    cfg = classifier(class_folders)
    cfg.train_dataloader.dataset = dict(
        type='ImageList', data_root=str(class_folders), ann_file='mined.txt', data_prefix='train', max_unreadable=0.5
    )
    cfg.val_dataloader = None
    cfg.test_dataloader = None
    assert [(f.rule, f.severity) for f in check_config(cfg).findings] == [('file-missing', 'warning')]
    cfg.train_dataloader.dataset.max_unreadable = 0.1
    assert [(f.rule, f.severity) for f in check_config(cfg).findings] == [('file-missing', 'error')]
    # Before a training only the list itself: the data set says at run time what it could not read.
    assert check_data(cfg, ('train',)).ok


def segmentor(root):
    cfg = load_config(SEGMENTOR, {'model.decode_head.num_classes': 2})
    cfg.train_dataloader.dataset = dict(
        type='BaseSegDataset',
        data_root=str(root),
        data_prefix=dict(img_path='images', seg_map_path='labels'),
        metainfo=dict(classes=('background', 'crack')),
        pipeline=[],
    )
    return cfg


def test_label_maps_of_a_config(label_maps):
    cfg = segmentor(label_maps)
    report = check_data(cfg, ('train',))
    assert not report.findings and report.summaries[0].per_class['crack'] == pytest.approx(600 / 2944)
    (label_maps / 'labels' / '1.png').unlink()
    with pytest.raises(UserError, match=r'1 of 3 images have no label map, first .*1\.png'):
        check_data(cfg, ('train',))


def test_masks_of_255_are_refused(label_maps):
    for path in (label_maps / 'labels').iterdir():
        labels = np.zeros((48, 64), np.uint8)
        labels[20:30] = 255
        cv2.imwrite(str(path), labels)
    with pytest.raises(UserError, match=r"255 is ignored, so there is no pixel of class 'crack'"):
        check_data(segmentor(label_maps), ('train',))


def test_a_config_without_data_is_refused():
    cfg = load_config(DEMO)
    for split in ('train', 'val', 'test'):
        cfg[f'{split}_dataloader'] = None
    with pytest.raises(UserError, match='has no data'):
        check_config(cfg)
