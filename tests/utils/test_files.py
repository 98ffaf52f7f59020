import json

import cv2
import numpy as np
import pytest

from lcnet_mm.utils import files
from lcnet_mm.utils.files import write_json
from lcnet_mm.utils.images import write_image


def test_json(tmp_path):
    write_json(tmp_path / 'a.json', dict(a=[1, 'ü']))
    write_json(tmp_path / 'b.json', dict(a=[1, 2]), indent=None)
    assert json.loads((tmp_path / 'a.json').read_text()) == dict(a=[1, 'ü'])
    assert (tmp_path / 'b.json').read_text() == '{"a": [1, 2]}\n'
    assert len(list(tmp_path.iterdir())) == 2


def test_an_interruption_leaves_the_older_file(tmp_path, monkeypatch):
    write_json(tmp_path / 'a.json', 1)
    write_image(tmp_path / 'a.png', np.zeros((2, 3), np.uint8))
    before = (tmp_path / 'a.png').read_bytes()

    def fail(*_):
        raise OSError('no space left')

    monkeypatch.setattr(files.os, 'replace', fail)
    with pytest.raises(OSError, match='no space'):
        write_json(tmp_path / 'a.json', 2)
    with pytest.raises(OSError, match='no space'):
        write_image(tmp_path / 'a.png', np.ones((2, 3), np.uint8))
    assert json.loads((tmp_path / 'a.json').read_text()) == 1
    assert (tmp_path / 'a.png').read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ['a.json', 'a.png']


def test_images(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    write_image(tmp_path / 'ü.png', image)
    assert np.array_equal(cv2.imdecode(np.fromfile(tmp_path / 'ü.png', np.uint8), cv2.IMREAD_COLOR), image)
    write_image(tmp_path / 'good.jpg', image, cv2.IMWRITE_JPEG_QUALITY, 95)
    write_image(tmp_path / 'small.jpg', image, cv2.IMWRITE_JPEG_QUALITY, 20)
    assert (tmp_path / 'small.jpg').stat().st_size < (tmp_path / 'good.jpg').stat().st_size
