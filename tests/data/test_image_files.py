"""Image files as the loader will read them."""

import cv2
import numpy as np
import pytest
from PIL import Image

from lcnet_mm.data.files import FileChecks, ImageFile, check_files, find_same_content
from lcnet_mm.data.report import Findings

SIZE = (40, 30)
PIXELS = np.random.default_rng(0).integers(0, 255, (30, 40, 3), np.uint8)


def save(path, orientation=1, **options):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(PIXELS).save(path, exif=exif.tobytes(), **options)


def cut(path, share):
    save(path)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])


def png16(path):
    cv2.imwrite(str(path.with_suffix('.png')), PIXELS.astype(np.uint16) * 255)
    path.with_suffix('.png').rename(path)


# How the file a.jpg is made, the rules that are reported, and with decoding.
CASES = {
    'good': (save, [], []),
    'missing': (lambda path: None, ['file-missing'], ['file-missing']),
    'empty': (lambda path: path.touch(), ['file-empty'], ['file-empty']),
    'folder': (lambda path: path.mkdir(), ['file-not-image'], ['file-not-image']),
    'a page of HTML': (lambda path: path.write_text('\n<!doctype html><html>'), ['file-not-image'], ['file-not-image']),
    'a pointer of Git LFS': (
        lambda path: path.write_text('version https://git-lfs.github.com/spec/v1\n'),
        ['file-not-image'],
        ['file-not-image'],
    ),
    'another case': (lambda path: save(path.with_name('A.JPG')), ['file-case'], ['file-case']),
    'truncated pixels': (lambda path: cut(path, 0.6), [], ['file-truncated']),
    'truncated header': (lambda path: cut(path, 0.02), ['file-undecodable'], ['file-undecodable']),
    'turned by EXIF': (lambda path: save(path, 6), ['file-rotated'], ['file-rotated']),
    'turned upside down': (lambda path: save(path, 3), ['file-exif'], ['file-exif']),
    'another size': (
        lambda path: Image.fromarray(PIXELS[:20]).save(path), ['file-size'], ['file-size'],
    ),
    'PNG called JPEG': (lambda path: save(path, format='PNG'), ['file-suffix'], ['file-suffix']),
    'alpha': (
        lambda path: Image.fromarray(np.dstack([PIXELS, PIXELS[..., 0]])).save(path, format='PNG'),
        ['file-alpha', 'file-suffix'],
        ['file-alpha', 'file-suffix'],
    ),
    '16 bits': (
        lambda path: Image.fromarray(PIXELS[..., 0].astype(np.uint16) * 200).save(path, format='PNG'),
        ['file-16-bit', 'file-suffix'],
        ['file-16-bit', 'file-suffix'],
    ),
}  # fmt: skip


def check(path, **options):
    findings = Findings()
    check_files([ImageFile(path, SIZE)], findings, FileChecks(**options))
    assert all(str(path.parent) in finding.examples[0] for finding in findings.sorted())
    return sorted(finding.rule for finding in findings.sorted())


@pytest.mark.parametrize('case', CASES)
def test_each_file(tmp_path, case):
    make, plain, decoded = CASES[case]
    make(tmp_path / 'a.jpg')
    assert check(tmp_path / 'a.jpg') == plain
    assert check(tmp_path / 'a.jpg', decode=True) == decoded


def test_exif_of_the_turned_size_is_right(tmp_path):
    save(tmp_path / 'a.jpg', 6)
    findings = Findings()
    check_files([ImageFile(tmp_path / 'a.jpg', SIZE[::-1])], findings, FileChecks())
    assert findings.sorted() == []
    assert check(tmp_path / 'a.jpg', rotates=False) == []


def test_a_wide_image_is_no_bomb(tmp_path):
    cv2.imwrite(str(tmp_path / 'a.png'), np.zeros((2, 66_000, 3), np.uint8))
    findings = Findings()
    check_files([ImageFile(tmp_path / 'a.png', (66_000, 2))], findings, FileChecks(decode=True))
    assert findings.sorted() == []


def test_a_sample_says_so(tmp_path):
    for index in range(10):
        save(tmp_path / f'{index}.jpg')
    findings = Findings()
    check_files([ImageFile(tmp_path / f'{i}.jpg', SIZE) for i in range(10)], findings, FileChecks(headers=4))
    assert [(f.rule, f.text) for f in findings.sorted()] == [('config-sample', 'headers of 4 of 10 images read')]


def test_same_content(tmp_path):
    start = bytes(5000)
    for name, content in dict(a=start + b'1', b=start + b'2', c=start + b'1', d=b'short', e=b'short').items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / 'f').symlink_to(tmp_path / 'b')
    paths = {name: tmp_path / name for name in 'abcdef'}
    train, val = [paths['a'], paths['b'], paths['d']], [paths['c'], paths['e'], paths['f']]
    found = find_same_content([train, val])
    assert sorted((group, path.name, first, other.name) for group, path, first, other in found) == [
        (1, 'c', 0, 'a'), (1, 'e', 0, 'd'), (1, 'f', 0, 'b'),
    ]  # fmt: skip
