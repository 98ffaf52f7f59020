"""Checks of Pascal VOC folders."""

import pytest

from lcnet_mm.data import AnnotationError, check_voc


def edit(old, new, name='b'):
    def change(root):
        path = root / 'Annotations' / f'{name}.xml'
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    return change


def listing(text):
    return lambda root: (root / 'ImageSets' / 'Main' / 'train.txt').write_bytes(text.encode())


def rename_image(root):
    (root / 'JPEGImages' / 'b.jpg').rename(root / 'JPEGImages' / 'b.png')


# The change, the rule, its severity, and a word of the finding.
FAULTS = {
    'unknown class': (edit('<name>disc', '<name>rod'), 'voc-class-unknown', 'warning', "'rod'"),
    'class with a space': (edit('<name>disc', '<name>Disc '), 'voc-name', 'error', "class 'disc'"),
    'no name': (edit('<name>disc</name>', ''), 'voc-field', 'error', 'b.xml, object 2'),
    'no corner': (edit('<xmin>11</xmin>', ''), 'voc-field', 'error', 'b.xml, object 1'),
    'corner is text': (edit('<xmin>11<', '<xmin>left<'), 'voc-field', 'error', 'object 1'),
    'difficult is text': (edit('<difficult>0<', '<difficult>Unspecified<'), 'voc-field', 'error', 'object 1'),
    'corners exchanged': (edit('<xmax>70<', '<xmax>7<'), 'box-negative', 'error', 'object 1'),
    'box without area': (edit('<xmax>70<', '<xmax>11<'), 'box-empty', 'error', 'object 1'),
    'box outside': (edit('<xmax>70<', '<xmax>700<'), 'box-beyond', 'error', 'object 1'),
    'NaN': (edit('<xmax>70<', '<xmax>nan<'), 'box-not-finite', 'error', 'object 1'),
    'size 0': (edit('<width>160<', '<width>0<'), 'voc-size', 'error', 'b.xml'),
    'another size': (edit('<width>160<', '<width>161<'), 'file-size', 'error', 'b.jpg is 160x120, listed as 161x120'),
    'not XML': (edit('<annotation>', ''), 'voc-xml', 'error', 'b.xml'),
    'no XML file': (lambda root: (root / 'Annotations' / 'b.xml').unlink(), 'voc-file-missing', 'error', 'b.xml'),
    'no image': (lambda root: (root / 'JPEGImages' / 'b.jpg').unlink(), 'file-missing', 'error', 'b.jpg'),
    'PNG': (rename_image, 'file-missing', 'error', 'exists with .png'),
    'list with suffix': (listing('a\nb.jpg\n'), 'voc-file-missing', 'error', 'b.jpg.xml'),
    'list of one class': (listing('a  1\nb -1\n'), 'voc-list', 'error', 'line 1'),
    'blank line': (listing('a\r\n\r\nb\r\n'), 'voc-list', 'error', 'line 2'),
    'backslash': (listing('a\nx\\b\n'), 'voc-list', 'error', 'line 2'),
    'listed twice': (listing('a\nb\na\n'), 'voc-list-duplicate', 'warning', 'a'),
    'empty list': (listing(''), 'boxes-none', 'error', 'no box'),
}


def test_a_good_folder(voc):
    report = check_voc(voc, ['box', 'disc'], decode=True)
    assert report.findings == [] and report.ok
    (summary,) = report.summaries
    assert (summary.images, summary.used, summary.per_class) == (3, 3, {'box': 3, 'disc': 3})


@pytest.mark.parametrize('fault', FAULTS)
def test_each_fault_is_found(voc, fault):
    change, rule, severity, word = FAULTS[fault]
    change(voc)
    report = check_voc(voc, ['box', 'disc'])
    found = [finding for finding in report.findings if finding.rule == rule and word in finding.format()]
    assert found and found[0].severity == severity, report.format_table()


def test_lists_of_single_classes_are_passed_over_and_without_lists_all_is_taken(voc):
    (voc / 'ImageSets' / 'Main' / 'box_train.txt').write_text('a -1\n')
    assert len(check_voc(voc).summaries) == 1
    for path in (voc / 'ImageSets' / 'Main').iterdir():
        path.unlink()
    (summary,) = check_voc(voc).summaries
    assert summary.images == 3 and summary.per_class == {'box': 3, 'disc': 3}


def test_other_folders_are_refused(tmp_path):
    with pytest.raises(AnnotationError, match='no folders Annotations and JPEGImages'):
        check_voc(tmp_path)
