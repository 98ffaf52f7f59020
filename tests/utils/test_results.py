"""Results beside inputs, and folders and names that cannot be written."""

import errno
import json
import os

import cv2
import numpy as np
import pytest

from lcnet_mm.utils import files, images
from lcnet_mm.utils.errors import UserError
from lcnet_mm.utils.files import atomic_path, make_folder, write_atomically
from lcnet_mm.utils.images import find_images, read_image, write_image
from lcnet_mm.utils.predictions import PredictionWriter
from lcnet_mm.utils.results import ResultFolder, is_result_folder

IMAGE = np.zeros((8, 12, 3), np.uint8)


@pytest.fixture
def pool(tmp_path):
    """A folder with two images, one in a folder of its own."""
    folder = tmp_path / 'images'
    (folder / 'inner').mkdir(parents=True)
    for name in ('a.jpg', 'inner/a.jpg'):
        write_image(folder / name, IMAGE)
    return folder


def run(folder, inputs, mask=None):
    found = find_images(inputs)
    with PredictionWriter(folder, found) as writer:
        for path in found:
            writer.add(path, (12, 8), IMAGE + 255, dict(top=[]), mask)
    return writer


def test_the_results_of_a_run(pool, tmp_path):
    out = tmp_path / 'out'
    for _ in range(2):
        # The second run replaces the results of the first.
        writer = run(out, [pool], np.ones((8, 12), np.uint8))
        assert [os.path.basename(entry['drawing']) for entry in writer.images] == ['a.jpg', 'a_2.jpg']
        assert [os.path.basename(entry['mask']) for entry in writer.images] == ['a_mask.png', 'a_2_mask.png']
        content = json.loads((out / 'predictions.json').read_text())
        assert content == dict(images=writer.images, failures=[]) and content['images'][0]['width'] == 12
        assert len(list(out.iterdir())) == 5


def test_results_in_the_folder_of_the_inputs_are_refused(pool, tmp_path):
    before = {path: path.read_bytes() for path in pool.rglob('*.jpg')}
    (tmp_path / 'link').symlink_to(pool)
    for out in (pool, pool / 'inner', tmp_path / 'link', pool / 'inner' / '..'):
        with pytest.raises(UserError, match=r'cannot be written to .* it has the input'):
            run(out, [pool])
    # A link in the folder to an image elsewhere would be replaced too.
    (tmp_path / 'links').mkdir()
    (tmp_path / 'links' / 'b.jpg').symlink_to(pool / 'a.jpg')
    with pytest.raises(UserError, match='has the input'):
        run(tmp_path / 'links', [tmp_path / 'links' / 'b.jpg'])
    assert {path: path.read_bytes() for path in pool.rglob('*.jpg')} == before


def test_results_inside_the_input_folder_are_left_out_of_the_next_run(pool):
    run(pool / 'out', [pool])
    run(pool / 'other', [pool])
    found = find_images([pool])
    assert [str(path.relative_to(pool)) for path in found] == ['a.jpg', 'inner/a.jpg']
    assert len(run(pool / 'out', [pool]).images) == 2
    # Unless they are asked for.
    assert len(find_images([pool / 'out'])) == 2


def test_the_files_of_others_stay(pool, tmp_path):
    out = tmp_path / 'out'
    out.mkdir()
    write_image(out / 'a.jpg', IMAGE + 7)
    before = (out / 'a.jpg').read_bytes()
    writer = run(out, [pool / 'a.jpg'])
    assert writer.images[0]['drawing'] == str(out / 'a_2.jpg') and (out / 'a.jpg').read_bytes() == before
    (tmp_path / 'second').mkdir()
    (tmp_path / 'second' / 'predictions.json').write_text('{"mine": 1}')
    with pytest.raises(UserError, match=r'predictions\.json is not from an earlier run'):
        run(tmp_path / 'second', [pool])
    assert (tmp_path / 'second' / 'predictions.json').read_text() == '{"mine": 1}'


def test_an_interrupted_run_keeps_what_was_done(pool, tmp_path):
    out, found = tmp_path / 'out', find_images([pool])
    with pytest.raises(KeyboardInterrupt), PredictionWriter(out, found) as writer:
        assert is_result_folder(out)
        writer.add(found[0], (12, 8), IMAGE, {})
        raise KeyboardInterrupt
    content = json.loads((out / 'predictions.json').read_text())
    assert content['interrupted'] and len(content['images']) == 1
    with pytest.raises(KeyboardInterrupt), PredictionWriter(tmp_path / 'none', found):
        raise KeyboardInterrupt
    assert not (tmp_path / 'none').exists()


def test_one_image_that_cannot_be_written_does_not_stop_the_others(pool, tmp_path):
    found = find_images([pool])
    with PredictionWriter(tmp_path / 'out', found) as writer:
        writer.add(found[0], (66000, 4), np.zeros((4, 66000, 3), np.uint8), {})
        writer.add(found[1].with_name('n' * 300), (12, 8), IMAGE, {})
        writer.add(found[1], (12, 8), IMAGE, {})
    reasons = [failure['reason'] for failure in writer.failures]
    assert reasons[0] == 'an image of 66000x4 pixels cannot be written as .jpg' and 'name too long' in reasons[1]
    assert len(writer.images) == 1
    assert len(list((tmp_path / 'out').iterdir())) == 2


def test_a_full_disk_ends_the_run_with_one_line(pool, tmp_path, monkeypatch):
    found = find_images([pool])
    with (
        pytest.raises(UserError, match='cannot be written: No space left'),
        PredictionWriter(tmp_path / 'out', found) as w,
    ):
        w.add(found[0], (12, 8), IMAGE, {})

        def full(*_):
            raise OSError(errno.ENOSPC, 'No space left on device')

        with monkeypatch.context() as patch:
            patch.setattr(images, 'write_atomically', full)
            w.add(found[1], (12, 8), IMAGE, {})
    assert sorted(path.name for path in (tmp_path / 'out').iterdir()) == ['a.jpg', 'predictions.json']


def test_folders_that_cannot_be_made(tmp_path, pool):
    with pytest.raises(UserError, match='a file has this name'):
        make_folder(pool / 'a.jpg')
    with pytest.raises(UserError, match='cannot be written to'):
        make_folder(pool / 'a.jpg' / 'below')
    with pytest.raises(UserError, match='cannot be written to'):
        make_folder('/proc/lcnet')
    with pytest.raises(UserError, match='which is a file'):
        ResultFolder(pool / 'a.jpg', [])


def test_finding_images(pool, tmp_path):
    (pool / '.hidden').mkdir()
    write_image(pool / '.hidden' / 'b.jpg', IMAGE)
    (pool / '._a.jpg').write_bytes(b'of a Mac')
    (pool / 'folder.jpg').mkdir()
    os.mkfifo(pool / 'pipe.png')
    assert [path.name for path in find_images([pool])] == ['a.jpg', 'a.jpg', 'pipe.png']
    with pytest.raises(ValueError, match='is not a file'):
        read_image(pool / 'pipe.png')
    (pool / 'dangling.png').symlink_to('none')
    with pytest.raises(ValueError, match='is not a file'):
        read_image(find_images([pool])[1])


def test_reading_gray(tmp_path):
    write_image(tmp_path / 'a.png', np.full((4, 5, 3), (10, 20, 30), np.uint8))
    assert read_image(tmp_path / 'a.png', 'grayscale').shape == (4, 5, 1)
    assert read_image(tmp_path / 'a.png').shape == (4, 5, 3)


def test_the_longest_names_can_be_written(tmp_path):
    name = 'n' * (os.pathconf(tmp_path, 'PC_NAME_MAX') - 4) + '.txt'
    write_atomically(tmp_path / name, 'text')
    assert (tmp_path / name).read_text() == 'text'
    with atomic_path(tmp_path / 'a') as first, atomic_path(tmp_path / 'a') as second:
        assert first != second
        first.touch()
        second.touch()
    assert files.is_same_file(tmp_path / 'a', tmp_path / 'a') and not files.is_same_file(tmp_path / 'b', tmp_path / 'a')


def test_orientation(tmp_path):
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.zeros((4, 6, 3), np.uint8)).save(tmp_path / 'a.jpg', exif=exif.tobytes())
    assert read_image(tmp_path / 'a.jpg').shape == (6, 4, 3)
    assert read_image(tmp_path / 'a.jpg', 'color_ignore_orientation').shape == (4, 6, 3)
    assert cv2.imread(str(tmp_path / 'a.jpg')).shape == (6, 4, 3)
