"""Checks of a classifier's lists and folders."""

import pytest

from lcnet_mm.data import AnnotationError, check_class_folders, check_list

GOOD = 'cat/0.jpg 0\ncat/1.jpg 0\ndog/0.jpg 1\nfox/0.jpg 2\n'

# The list, the rule, its severity, and a word of the finding.
LISTS = {
    'blank last line': (GOOD.replace('\n', '\r\n') + '\r\n', 'list-blank', 'error', 'line 5'),
    'tab': (GOOD + 'dog/1.jpg\t1\n', 'list-line', 'error', 'line 5'),
    'no label': (GOOD + 'dog/1.jpg\n', 'list-line', 'error', 'line 5'),
    'label is text': (GOOD + 'dog/1.jpg dog\n', 'list-line', 'error', 'line 5'),
    'label beyond': (GOOD + 'dog/1.jpg 3\n', 'list-label', 'error', 'line 5: 3'),
    'label negative': (GOOD + 'dog/1.jpg -1\n', 'list-label', 'error', 'line 5: -1'),
    'two labels': (GOOD + 'dog/0.jpg 0\n', 'list-conflict', 'error', 'dog/0.jpg is 0 and 1'),
    'listed twice': (GOOD + 'dog/0.jpg 1\n', 'list-duplicate', 'warning', 'dog/0.jpg'),
    'backslash': (GOOD + 'dog\\1.jpg 1\n', 'image-name-windows', 'error', 'dog\\1.jpg'),
    'missing image': (GOOD + 'dog/9.jpg 1\n', 'file-missing', 'error', '9.jpg'),
    'another case': (GOOD + 'dog/1.JPG 1\n', 'file-case', 'error', 'found 1.jpg'),
    'unused class': ('cat/0.jpg 0\ndog/0.jpg 1\n', 'class-empty', 'warning', 'fox'),
    'byte order mark': ('\ufeff' + GOOD, 'list-encoding', 'error', 'line 1'),
    'not UTF-8': (GOOD.encode() + b'\xff.jpg 1\n', 'list-encoding', 'error', 'line 5'),
    'empty': ('', 'list-empty', 'error', 'list.txt'),
}


@pytest.mark.parametrize('fault', LISTS)
def test_each_fault_of_a_list(class_folders, fault):
    text, rule, severity, word = LISTS[fault]
    file = class_folders / 'list.txt'
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    report = check_list(file, class_folders / 'train', ['cat', 'dog', 'fox'])
    found = [finding for finding in report.findings if finding.rule == rule and word in finding.format()]
    assert found and found[0].severity == severity, report.format_table()


@pytest.mark.parametrize('text', [GOOD, GOOD.replace('\n', '\r\n'), GOOD.rstrip()])
def test_a_good_list(class_folders, text):
    file = class_folders / 'list.txt'
    file.write_bytes(text.encode())
    report = check_list(file, class_folders / 'train', ['cat', 'dog', 'fox'], decode=True)
    assert report.findings == []
    assert report.summaries[0].per_class == {'cat': 2, 'dog': 1, 'fox': 1}


def test_a_list_without_labels(class_folders):
    file = class_folders / 'list.txt'
    file.write_text('cat/0.jpg\ndog/0.jpg\n')
    report = check_list(file, class_folders / 'train')
    assert report.findings == [] and report.summaries[0].images == 2
    file.write_bytes(b'a\0b')
    with pytest.raises(AnnotationError, match='not a text file'):
        check_list(file)


def test_good_folders(class_folders):
    report = check_class_folders(class_folders / 'train', decode=True)
    assert report.findings == [] and report.summaries[0].per_class == {'cat': 2, 'dog': 2, 'fox': 2}


def move(old, new):
    return lambda root: (root / old).rename(root / new)


FOLDERS = {
    'hidden folder': (
        lambda root: (root / '.ipynb_checkpoints').mkdir(),
        'class-hidden',
        'error',
        '.ipynb_checkpoints',
    ),
    'folder of macOS': (lambda root: (root / '__MACOSX').mkdir(), 'class-hidden', 'error', '__MACOSX'),
    'class without images': (lambda root: (root / 'rod').mkdir(), 'class-empty', 'warning', 'rod'),
    'loose image': (move('cat/0.jpg', 'a.jpg'), 'class-loose', 'warning', 'a.jpg'),
    'other suffix': (move('cat/0.jpg', 'cat/0.webp'), 'file-left-out', 'warning', '0.webp'),
    'empty image': (lambda root: (root / 'cat' / '0.jpg').write_bytes(b''), 'file-empty', 'error', '0.jpg'),
}


@pytest.mark.parametrize('fault', FOLDERS)
def test_each_fault_of_folders(class_folders, fault):
    change, rule, severity, word = FOLDERS[fault]
    change(class_folders / 'train')
    report = check_class_folders(class_folders / 'train')
    found = [finding for finding in report.findings if finding.rule == rule and word in finding.format()]
    assert found and found[0].severity == severity, report.format_table()


def test_folders_that_do_not_fit_the_classes(class_folders):
    report = check_class_folders(class_folders / 'train', ['cat', 'dog'])
    assert [(f.rule, f.text) for f in report.errors] == [('class-folder', '3 class folders for 2 classes')]
    report = check_class_folders(class_folders / 'train' / 'cat')
    assert [finding.text for finding in report.errors] == ['no folder per class', 'folder without an image']
    assert [finding.rule for finding in report.errors] == ['class-folder', 'folder-empty']
