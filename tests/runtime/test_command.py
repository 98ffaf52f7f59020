"""The command of the runtime: inputs that stay, errors of one line, and results of the images that work."""

import json

import cv2
import numpy as np
import pytest
from runtime_command import hashes, run
from tiny_exports import TASKS, equal, make_export, make_images

from lcnet_mm.runtime import Detector, load_model

IMAGE = make_images(1)[0]


@pytest.fixture(scope='module')
def exports(tmp_path_factory):
    folder = tmp_path_factory.mktemp('exports')
    return {task: make_export(folder / task, task) for task in TASKS}


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / 'images'
    folder.mkdir()
    for name in ('a.png', 'b.jpg'):
        cv2.imwrite(str(folder / name), IMAGE)
    return folder


def test_results_in_the_folder_of_the_images(exports, images):
    before = hashes(images)
    code, errors = run(exports['detection'], images, '--out', images)
    assert code == 1 and errors.startswith('error: the results cannot be written to') and errors.count('\n') == 1
    assert hashes(images) == before
    for _ in range(2):
        code, _ = run(exports['detection'], images, '--out', images / 'out')
        assert code == 0
        assert len(json.loads((images / 'out' / 'predictions.json').read_text())['images']) == 2


def test_an_image_that_no_jpeg_can_hold_is_recorded(exports, images, tmp_path):
    cv2.imwrite(str(images / 'long.png'), cv2.resize(IMAGE, (66000, 40)))
    (images / 'empty.jpg').touch()
    code, errors = run(exports['segmentation'], images, '--out', tmp_path / 'out')
    report = json.loads((tmp_path / 'out' / 'predictions.json').read_text())
    assert code == 1 and 'Traceback' not in errors
    assert [entry['file'] for entry in report['images']] == [str(images / name) for name in ('a.png', 'b.jpg')]
    assert [entry['reason'] for entry in report['failures']] == [
        'cannot be decoded as an image',
        'an image of 66000x40 pixels cannot be written as .jpg',
    ]


@pytest.mark.parametrize(
    'args, code, word',
    [
        (('--threads', 0), 1, '--threads must be at least 1, got 0'),
        (('--threads', -1), 1, '--threads must be at least 1, got -1'),
        (('--threads', 'many'), 2, "invalid int value: 'many'"),
        (('--threads', 10**15), 0, ''),
        (('--score-thr', 'nan'), 1, '--score-thr must be within 0 and 1'),
        (('--max-frames', 0), 1, '--max-frames must be at least 1'),
    ],
)
def test_option_values(args, code, word, exports, images, tmp_path):
    found, errors = run(exports['classification'], images, '--out', tmp_path / 'out', *args)
    assert found == code and word in errors and 'Traceback' not in errors
    assert (tmp_path / 'out').exists() == (code == 0)


@pytest.mark.parametrize('target', ['file', 'file/below', '/proc/lcnet'])
def test_folders_that_cannot_be_written_to(target, exports, images, tmp_path):
    (tmp_path / 'file').write_text('mine')
    code, errors = run(exports['classification'], images, '--out', tmp_path / target)
    assert code == 1 and errors.splitlines()[-1].startswith('error: ') and 'Traceback' not in errors
    assert (tmp_path / 'file').read_text() == 'mine'


def test_a_video_is_not_written_over(exports, tmp_path):
    video = tmp_path / 'video.mp4'
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter.fourcc(*'mp4v'), 10, (64, 48))
    for value in (0, 100, 200):
        writer.write(np.full((48, 64, 3), value, np.uint8))
    writer.release()
    before = video.read_bytes()
    code, errors = run(exports['detection'], video, '--out', tmp_path)
    assert code == 1 and 'has the input' in errors and video.read_bytes() == before
    for _ in range(2):
        code, errors = run(exports['detection'], video, '--out', tmp_path / 'out', '--max-frames', 2)
        assert code == 0, errors
        assert sorted(path.name for path in (tmp_path / 'out').iterdir()) == ['predictions.json', 'video.mp4']
    report = json.loads((tmp_path / 'out' / 'predictions.json').read_text())
    assert len(report['frames']) == 2 and report['video'] == str(tmp_path / 'out' / 'video.mp4')
    # One that was cut off.
    (tmp_path / 'cut.mp4').write_bytes(before[:100])
    code, errors = run(exports['detection'], tmp_path / 'cut.mp4', '--out', tmp_path / 'cut')
    assert code == 1 and errors.splitlines()[-1].startswith('error: ') and not (tmp_path / 'cut').exists()


@pytest.mark.parametrize('task', TASKS)
def test_gray_models(task, tmp_path):
    model = load_model(make_export(tmp_path / 'export', task, channels=1), 1)
    gray = cv2.cvtColor(IMAGE, cv2.COLOR_BGR2GRAY)
    cv2.imwrite(str(tmp_path / 'a.png'), gray)
    assert equal(model(gray), model(gray[..., None])) and equal(model(gray), model(IMAGE))
    assert equal(model(gray), model(tmp_path / 'a.png'))
    code, errors = run(tmp_path / 'export', tmp_path / 'a.png', '--out', tmp_path / 'out')
    assert code == 0, errors
    assert cv2.imread(str(tmp_path / 'out' / 'a.jpg')).shape == IMAGE.shape


def test_padding_to_a_divisor_follows_normalization(tmp_path):
    """As the data preprocessors of the mm libraries do: what is padded has the value 0, not that of black pixels."""
    steps = [dict(type='resize', size=[90, 60], keep_ratio=False, interpolation='bilinear', backend='cv2')]
    folder = make_export(tmp_path / 'export', 'segmentation', dynamic=True, steps=steps, pad_size_divisor=32)
    image = cv2.resize(IMAGE, (90, 60))
    padded = np.full((64, 96, 3), 120, np.uint8)
    padded[:60, :90] = image
    expected = load_model(make_export(tmp_path / 'plain', 'segmentation'))(padded)[:60, :90]
    assert np.array_equal(load_model(folder)(image), expected)


def test_tiles_and_classes(exports, images, tmp_path):
    arguments = (images / 'a.png', '--score-thr', 0, '--classes', 'line', 'disc')
    code, errors = run(exports['detection'], *arguments, '--tile', 64, 48, '--overlap', 0.3, '--out', tmp_path / 'out')
    assert code == 0, errors
    (image,) = json.loads((tmp_path / 'out' / 'predictions.json').read_text())['images']
    expected = Detector(exports['detection'], classes=['line', 'disc'])(images / 'a.png', tile=(64, 48), overlap=0.3)
    assert image['detections'] == expected.describe() and len(expected) > 0
    assert {entry['class'] for entry in image['detections']} <= {'line', 'disc'}


def test_tracks_of_a_video(exports, tmp_path):
    video = cv2.VideoWriter(str(tmp_path / 'in.avi'), cv2.VideoWriter.fourcc(*'MJPG'), 10.0, (96, 64))
    for _ in range(5):
        video.write(cv2.resize(IMAGE, (96, 64)))
    video.release()
    code, errors = run(
        exports['detection'], tmp_path / 'in.avi', '--track', '--score-thr', 0.2, '--out', tmp_path / 'out'
    )
    assert code == 0, errors
    frames = json.loads((tmp_path / 'out' / 'predictions.json').read_text())['frames']
    tracks = [{entry.get('track') for entry in frame['detections']} for frame in frames]
    # Nothing moves: the numbers of the last frames are the same.
    assert len(frames) == 5 and tracks[-1] == tracks[-2] and max(tracks[-1] - {None}) >= 0


@pytest.mark.parametrize(
    ('task', 'args', 'word'),
    [
        ('detection', ('--track',), '--track is for a video or a camera'),
        ('detection', ('--overlap', 0.1), '--overlap is for --tile; add it'),
        ('detection', ('--tile', 0, 5), '--tile must be at least 1 1, got [0, 5]'),
        ('detection', ('--tile', 9, 9, '--overlap', 1), '--overlap must be within 0 and 0.9, got 1.0'),
        ('detection', ('--classes', 'discs'), "the nearest name is 'disc'"),
        ('segmentation', ('--tile', 9, 9), 'is a model for segmentation, not for detection'),
    ],
)
def test_wrong_options_of_detectors(exports, images, tmp_path, task, args, word):
    code, errors = run(exports[task], images / 'a.png', '--out', tmp_path / 'out', *args)
    assert code == 1 and word in errors and errors.count('\n') == 1
    assert not (tmp_path / 'out').exists()
