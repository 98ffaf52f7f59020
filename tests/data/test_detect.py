"""What a file or a folder is taken for, and what is compared between the splits of a folder."""

import json
import shutil

import data_cases
import pytest

from lcnet_mm.apis import UserError, check_dataset, fix_annotations


def kinds(source, *args, **options):
    return [(summary.kind, summary.images) for summary in check_dataset(source, *args, **options).summaries]


def test_each_format_is_known(coco, voc, class_folders, label_maps, streets):
    assert kinds(coco.save()) == [('COCO', 4)]
    assert kinds(coco.file.parent) == [('COCO', 4)]
    assert kinds(voc) == [('VOC', 3)]
    assert kinds(class_folders) == [('class folders', 6), ('class folders', 3)]
    assert kinds(class_folders / 'train') == [('class folders', 6)]
    assert kinds(class_folders / 'train.txt', class_folders / 'train') == [('list', 6)]
    assert kinds(label_maps) == kinds(label_maps / 'images', labels=label_maps / 'labels') == [('label maps', 3)]
    assert kinds(label_maps / 'images') == [('images', 3)]
    assert kinds(streets) == [('Cityscapes', 8)]


def test_other_sources_are_refused(tmp_path):
    (tmp_path / 'a.doc').touch()
    for source, words in ((tmp_path / 'none', 'does not exist'), (tmp_path / 'a.doc', 'of no known kind')):
        with pytest.raises(UserError, match=words):
            check_dataset(source)
    with pytest.raises(UserError, match=r'folder .*none does not exist'):
        check_dataset(tmp_path, tmp_path / 'none')
    with pytest.raises(UserError, match=r'folder .*none does not exist'):
        fix_annotations(tmp_path / 'a.json', tmp_path / 'b.json', tmp_path / 'none')
    with pytest.raises(UserError, match=r'a.json does not exist'):
        fix_annotations(tmp_path / 'a.json', tmp_path / 'b.json')


@pytest.mark.parametrize('layout', ['coco', 'roboflow'])
def test_files_of_a_folder_are_compared(tmp_path, layout):
    for name in ('train', 'val'):
        made = data_cases.CocoFolder(tmp_path / name)
        if name == 'val':
            made.doc['categories'].reverse()
        if layout == 'coco':
            (tmp_path / 'annotations').mkdir(exist_ok=True)
            (tmp_path / 'annotations' / f'instances_{name}.json').write_text(json.dumps(made.doc))
        else:
            (tmp_path / name / '_annotations.coco.json').write_text(json.dumps(made.doc))
        for path in list(made.images.iterdir()):
            shutil.move(path, tmp_path / name / path.name)
    report = check_dataset(tmp_path)
    assert [summary.images for summary in report.summaries] == [4, 4]
    found = {finding.rule: finding for finding in report.findings}
    assert set(found) == {'config-classes', 'split-shared'}
    assert found['split-shared'].count == 4
    assert "'disc', 'box' instead of 'box', 'disc'" in found['config-classes'].text


def test_class_folders_of_splits_are_compared(class_folders):
    (class_folders / 'val' / 'fox').rename(class_folders / 'val' / 'owl')
    (error,) = check_dataset(class_folders).errors
    assert error.rule == 'config-classes' and "first in 'owl'" in error.text
