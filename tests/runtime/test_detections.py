"""What a detector returns, and what can be made of it."""

import pickle

import numpy as np
import pytest
from tiny_exports import make_export, make_images

from lcnet_mm.runtime import Detections, Detector
from lcnet_mm.runtime.tiling import merge_tiles, split_image
from lcnet_mm.utils.errors import UserError

FOUND = Detections(
    np.array([[10, 20, 30, 60], [0, 0, 5, 5]], np.float32),
    np.array([0.9, 0.4], np.float32),
    np.array([1, 0]),
    ['car', 'bus'],
)


def test_unpacks_counts_and_selects():
    boxes, scores, labels = FOUND
    assert boxes is FOUND.boxes and scores is FOUND.scores and labels is FOUND.labels
    assert len(FOUND) == 2
    (kept,) = FOUND.select(FOUND.scores > 0.5).labels
    assert FOUND.name_of(kept) == 'bus' and FOUND.name_of(7) == '7'


def test_coco_results():
    first, second = FOUND.to_coco(7)
    assert first == dict(image_id=7, category_id=2, bbox=[10.0, 20.0, 20.0, 40.0], score=pytest.approx(0.9))
    assert second['category_id'] == 1
    assert [entry['category_id'] for entry in FOUND.to_coco(7, category_ids=[3, 90])] == [90, 3]
    with pytest.raises(UserError, match='category_ids has 1 ids, and class 1 was detected'):
        FOUND.to_coco(7, category_ids=[3])


def test_drawing_leaves_the_image_alone():
    image = np.zeros((80, 80, 3), np.uint8)
    drawn = FOUND.draw(image, score_threshold=0.5)
    assert image.max() == 0
    # The frame of the first box, not that of the second.
    assert drawn[40, 10].max() > 0 and drawn[40, 20].max() == 0 and drawn[4, 5].max() == 0


def test_supervision():
    supervision = pytest.importorskip('supervision', reason='supervision is not installed')
    converted = FOUND.to_supervision()
    assert isinstance(converted, supervision.Detections)
    np.testing.assert_array_equal(converted.xyxy, FOUND.boxes)
    np.testing.assert_array_equal(converted.class_id, [1, 0])
    assert converted['class_name'].tolist() == ['bus', 'car']


@pytest.fixture(scope='module')
def exported(tmp_path_factory):
    return make_export(tmp_path_factory.mktemp('exported') / 'detection', 'detection'), make_images(1)[0]


def test_threshold_and_classes_of_a_detector(exported):
    folder, image = exported
    everything = Detector(folder)(image)
    middle = float(np.median(everything.scores))
    chosen = Detector(folder, score_threshold=middle, classes=['line', 0])
    found = chosen(image)
    expected = everything.select((everything.scores >= middle) & np.isin(everything.labels, [0, 2]))
    assert 0 < len(expected) < len(everything)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    # A copy in another process selects the same.
    for ours, theirs in zip(pickle.loads(pickle.dumps(chosen))(image), expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(score_threshold=1.5), 'score_threshold must be within 0 and 1, got 1.5'),
        (dict(classes=['lines']), "classes has 'lines', and the model has 3 classes; the nearest name is 'line'"),
        (dict(classes=[3]), "classes has 3, and the model has 3 classes, 'disc' to 'line'"),
        (dict(classes='12'), "classes must be a list of names or indices, got '12'"),
    ],
)
def test_wrong_arguments_of_a_detector(exported, arguments, message):
    with pytest.raises(UserError, match=message):
        Detector(exported[0], **arguments)


def test_tiles_are_looked_at_one_by_one(exported):
    folder, image = exported
    detector = Detector(folder)
    height, width = image.shape[:2]
    for ours, theirs in zip(detector(image, tile=(width, height)), detector(image), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    tiles = split_image(width, height, (width // 2 + 8, height // 2 + 8), 0.25)
    parts = [detector(np.ascontiguousarray(image[t:b, x:r])) for x, t, r, b in tiles]
    expected = merge_tiles(tiles, parts, width, height)
    (found,) = detector([image], tile=(width // 2 + 8, height // 2 + 8), overlap=0.25)
    assert len(tiles) == 4 and len(found) > 0
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_cache_of_compiled_models(exported, tmp_path):
    folder, image = exported
    expected = Detector(folder)(image)
    kept = []
    for _ in range(2):
        detector = Detector(folder, cache_dir=tmp_path / 'cache')
        detector.warm_up()
        for ours, theirs in zip(detector(image), expected, strict=True):
            np.testing.assert_array_equal(ours, theirs)
        kept.append({path.name: path.stat().st_mtime_ns for path in (tmp_path / 'cache').iterdir()})
    # The second start made nothing new.
    assert kept[0] == kept[1] and kept[0]
    (tmp_path / 'file').touch()
    with pytest.raises(UserError, match='file cannot be made: File exists'):
        Detector(folder, cache_dir=tmp_path / 'file')
