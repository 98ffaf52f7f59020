"""The comparisons must see what they are for."""

import numpy as np
import pytest

from lcnet_mm.deploy.parity import (
    Comparison,
    Detections,
    box_iou,
    compare_arrays,
    compare_detections,
    compare_masks,
    compare_probabilities,
    is_proven,
)

BOXES = np.array([[10, 10, 110, 110], [200, 50, 260, 90]], float)
FOUND = Detections(BOXES, np.array([0.9, 0.4]), np.array([0, 1]))


def test_box_iou():
    assert box_iou(BOXES[:1], np.array([[10, 10, 110, 60], [300, 300, 310, 310]], float)).tolist() == [[0.5, 0]]


@pytest.mark.parametrize(
    'other, passed',
    [
        (Detections(BOXES + 0.1, FOUND.scores + 5e-4, FOUND.labels), True),
        (Detections(BOXES + 2.0, FOUND.scores, FOUND.labels), False),
        (Detections(BOXES, FOUND.scores - 2e-3, FOUND.labels), False),
        (Detections(BOXES, FOUND.scores, FOUND.labels[::-1]), False),
        (Detections(BOXES[:1], FOUND.scores[:1], FOUND.labels[:1]), False),
        (Detections(BOXES[:0], FOUND.scores[:0], FOUND.labels[:0]), False),
    ],
)
def test_detections(other, passed):
    assert compare_detections(FOUND, other, 0.05, 100)[0] is passed
    assert compare_detections(other, FOUND, 0.05, 100)[0] is passed


def test_detections_at_the_threshold_are_passed_over():
    other = Detections(BOXES[:1], FOUND.scores[:1], FOUND.labels[:1])
    assert compare_detections(FOUND, other, 0.3995, 100)[0]
    assert compare_detections(FOUND, FOUND, 0.05, 2)[0]


def test_no_detections_are_no_proof():
    none = Detections(BOXES[:0], FOUND.scores[:0], FOUND.labels[:0])
    for one, other, threshold in ((none, none, 0.05), (FOUND, FOUND, 0.95)):
        result = compare_detections(one, other, threshold, 100)
        assert result.empty and not result.passed and 'proves nothing' in result.detail


def comparison(backend='openvino', **changes):
    return Comparison('image', backend, 'detections', **{**dict(passed=True, worst=0, limit=0, detail=''), **changes})


def test_each_backend_must_be_compared_on_something():
    good, empty, wrong = comparison(), comparison(passed=False, empty=True), comparison(passed=False)
    assert is_proven([good, empty, empty]) and is_proven([good])
    assert not is_proven([empty, empty]) and not is_proven([]) and not is_proven([good, wrong])
    assert not is_proven([good, comparison('onnxruntime', passed=False, empty=True)])


def test_arrays():
    expected = np.array([1.0, 0.0])
    assert compare_arrays(expected, expected + [9e-4, 9e-6])[0]
    result = compare_arrays(expected, expected + [0, 3e-5])
    assert not result.passed and result.worst == pytest.approx(3)
    assert not compare_arrays(expected, expected[:1])[0]
    assert not compare_arrays(expected, expected * np.nan)[0]


def test_masks():
    expected = np.zeros((1, 1, 100, 100), int)
    actual = expected.copy()
    actual.flat[:10] = 1
    assert compare_masks(expected, actual)[0]
    actual.flat[:11] = 1
    assert not compare_masks(expected, actual)[0]


def test_probabilities():
    expected = np.array([[0.6, 0.3, 0.1]])
    assert compare_probabilities(expected, expected + 5e-5)[0]
    assert not compare_probabilities(expected, expected + [[2e-4, 0, 0]])[0]
    tie = np.array([[0.4, 0.39995, 0.2]])
    assert compare_probabilities(tie, tie[:, [1, 0, 2]])[0]
