"""Checks of images with label maps."""

import cv2
import numpy as np
import pytest
from PIL import Image

from lcnet_mm.data import check_label_maps
from lcnet_mm.data.files import FileChecks
from lcnet_mm.data.label_maps import LabelOptions, _count_pixels, inspect_label_maps
from lcnet_mm.data.report import Findings

CLASSES = ['background', 'crack']


def check(root, classes=CLASSES, **options):
    return check_label_maps(root / 'images', root / 'labels', classes, **options)


def write(pixels, name='1.png', mode=None):
    def change(root):
        Image.fromarray(pixels, mode).save(root / 'labels' / name)

    return change


def all_maps(pixels):
    return lambda root: [write(pixels, f'{i}.png')(root) for i in range(3)]


def paint(value):
    pixels = np.zeros((48, 64), np.uint8)
    pixels[20:30] = value
    return pixels


def as_jpeg(root):
    Image.fromarray(paint(1)).save(root / 'labels' / '1.png', format='JPEG')


def turn(root):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.zeros((48, 64, 3), np.uint8)).save(root / 'images' / '1.jpg', exif=exif.tobytes())


FAULTS = {
    '0 and 255': (all_maps(paint(255)), 'labels-255', 'error', "no pixel of class 'crack'"),
    'one class': (all_maps(paint(0)), 'labels-single-class', 'error', 'background'),
    'unknown label': (
        write(paint(7)),
        'labels-unknown',
        'error',
        '1.png: unknown label 7; allowed are 0 to 1 and 255 (ignored)',
    ),
    'colors': (write(np.zeros((48, 64, 3), np.uint8)), 'labels-color', 'error', 'RGB'),
    '16 bits': (write(paint(1).astype(np.uint16)), 'labels-depth', 'error', 'uint16'),
    'JPEG': (as_jpeg, 'labels-lossy', 'error', '1.png is JPEG'),
    'another size': (
        write(np.ones((24, 32), np.uint8)),
        'labels-size',
        'error',
        'shape 24x32 (height x width), its image 48x64',
    ),
    'image turned by EXIF': (turn, 'labels-size', 'error', 'shape 48x64 (height x width), its image 64x48'),
    'not an image': (lambda root: (root / 'labels' / '1.png').write_text('x'), 'labels-undecodable', 'error', '1.png'),
    'missing map': (lambda root: (root / 'labels' / '1.png').unlink(), 'labels-missing', 'error', '1.png of 1.jpg'),
    'missing image': (lambda root: (root / 'images' / '1.jpg').unlink(), 'labels-without-image', 'warning', '1.png'),
    'all ignored': (write(np.full((48, 64), 255, np.uint8)), 'labels-all-ignored', 'warning', '1.png'),
    'suffix in capitals': (
        lambda root: (root / 'images' / '1.jpg').rename(root / 'images' / '1.JPG'),
        'file-left-out',
        'warning',
        'does not end with .jpg',
    ),
}


def test_good_maps(label_maps):
    report = check(label_maps, decode=True)
    assert report.findings == []
    (summary,) = report.summaries
    # 20x30 of 48x64 pixels without the two ignored rows.
    assert summary.per_class['crack'] == pytest.approx(600 / (46 * 64))
    assert (summary.images, summary.used) == (3, 3)


@pytest.mark.parametrize('fault', FAULTS)
def test_each_fault_is_found(label_maps, fault):
    change, rule, severity, word = FAULTS[fault]
    change(label_maps)
    report = check(label_maps)
    found = [finding for finding in report.findings if finding.rule == rule and word in finding.format()]
    assert found and found[0].severity == severity, report.format_table()


def test_a_class_without_a_pixel(label_maps):
    report = check(label_maps, [*CLASSES, 'rust'])
    assert [(f.rule, f.severity, f.examples) for f in report.findings] == [('labels-class-unused', 'warning', ['rust'])]


def test_a_palette_is_read_by_its_indices(label_maps):
    for i in range(3):
        image = Image.fromarray(paint(1), 'P')
        image.putpalette([0, 0, 0, 255, 0, 0])
        image.save(label_maps / 'labels' / f'{i}.png')
    assert check(label_maps).findings == []


def test_labels_are_counted_after_the_loader_changed_them(label_maps):
    pair = [(label_maps / 'images' / '0.jpg', label_maps / 'labels' / '0.png')]
    plain = _count_pixels(pair, LabelOptions(), Findings(), 1)
    reduced = _count_pixels(pair, LabelOptions(reduce_zero_label=True), Findings(), 1)
    mapped = _count_pixels(pair, LabelOptions(label_map={0: 255, 1: 0}), Findings(), 1)
    both = _count_pixels(pair, LabelOptions(reduce_zero_label=True, label_map={0: 5}), Findings(), 1)
    assert (plain[0], plain[1], plain[255]) == (2344, 600, 128)
    assert (both[5], both[255]) == (600, 2344 + 128)
    assert (reduced[0], reduced[255]) == (600, 2344 + 128)
    assert (mapped[0], mapped[255]) == (600, 2344 + 128)


def test_rare_classes_outside_of_the_sample_are_no_error(label_maps):
    for i in (0, 2):
        cv2.imwrite(str(label_maps / 'labels' / f'{i}.png'), paint(255))
    pairs = [(label_maps / 'images' / f'{i}.jpg', label_maps / 'labels' / f'{i}.png') for i in range(3)]
    findings = Findings()
    options = LabelOptions(CLASSES, max_maps=2)
    facts = inspect_label_maps(label_maps, pairs, findings, options, FileChecks())
    assert findings.sorted() == [] and facts.summary.per_class['crack'] > 0
    for i in (0, 2):
        cv2.imwrite(str(label_maps / 'labels' / f'{i}.png'), paint(1))
    inspect_label_maps(label_maps, pairs, findings, options, FileChecks())
    assert [finding.text for finding in findings.sorted()] == ['pixels of 2 of 3 label maps read']
