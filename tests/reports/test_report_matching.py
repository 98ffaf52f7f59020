"""The matching of detections and the curves, against pycocotools, scikit-learn and cases by hand."""

import contextlib
import io

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from sklearn.metrics import average_precision_score

from lcnet_mm.reports.curves import BINS, Sweep, merge
from lcnet_mm.reports.matching import Truth, match_classes
from lcnet_mm.reports.sizes import size_of_area


def random_case(seed: int, num_images: int = 25, num_classes: int = 3):
    """Labels of every size, some of them crowds, and detections near them and elsewhere; many scores are equal."""
    rng = np.random.default_rng(seed)
    images, truths = [], []
    for number in range(num_images):
        count = 0 if number == 0 else rng.integers(0, 9)
        corners, sides = rng.uniform(0, 200, (count, 2)), np.exp(rng.uniform(2.5, 5.5, (count, 2)))
        boxes, labels = np.concatenate((corners, corners + sides), 1), rng.integers(0, num_classes - 1, count)
        # The area of a mask is smaller than that of the box.
        areas = sides.prod(1) * rng.uniform(0.4, 1, count)
        truths.append(Truth.of_boxes(boxes, labels, rng.random(count) < 0.15, areas))
        repeats = 130 if number == 1 else 3
        near = np.repeat(boxes, repeats, 0) + rng.normal(0, 5, (count * repeats, 4))
        corners, sides = rng.uniform(0, 200, (6, 2)), np.exp(rng.uniform(2.5, 5.5, (6, 2)))
        found = np.concatenate((near, np.concatenate((corners, corners + sides), 1)))
        labels = np.concatenate((np.repeat(labels, repeats), rng.integers(0, num_classes, 6)))
        scores = rng.integers(1, 40, len(found)) / 40
        images.append(dict(boxes=found.astype(np.float32), scores=scores.astype(np.float32), labels=labels))
    return images, truths


def coco_eval(images, truths, num_classes) -> COCOeval:
    """The same through pycocotools."""
    annotations, rows = [], []
    for number, (image, truth) in enumerate(zip(images, truths, strict=True)):
        for box, label, ignored, area in zip(truth.boxes, truth.labels, truth.ignored, truth.areas, strict=True):
            entry = dict(id=len(annotations) + 1, image_id=number, category_id=int(label), area=area)
            annotations.append(dict(entry, bbox=[*box[:2], *(box[2:] - box[:2])], iscrowd=int(ignored)))
        boxes = image['boxes'].astype(float)
        boxes[:, 2:] -= boxes[:, :2]
        rows.append(np.column_stack((np.full(len(boxes), number), boxes, image['scores'], image['labels'])))
    coco = COCO()
    coco.dataset = dict(
        info={},
        images=[dict(id=number) for number in range(len(images))],
        annotations=annotations,
        categories=[dict(id=label) for label in range(num_classes)],
    )
    with contextlib.redirect_stdout(io.StringIO()):
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(np.concatenate(rows)), 'bbox')
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation


@pytest.mark.parametrize('seed', range(3))
def test_precision_is_that_of_coco(seed):
    images, truths = random_case(seed)
    expected = coco_eval(images, truths, 3).eval['precision'][..., -1]
    matches = match_classes(images, truths, 3)
    # pycocotools: IoU, recall, class, size; -1 where there is no label, as for the last class here.
    got = np.nan_to_num(np.stack([match.precision() for match in matches]), nan=-1).transpose(2, 3, 0, 1)
    assert (expected[:, :, :2] > 0).any() and (expected[:, :, 2] == -1).all()
    np.testing.assert_array_equal(got, expected)


def test_a_sweep_by_hand():
    # In the order of the scores: right, wrong, then two of one score of which one is right.
    sweep = Sweep.of_scores(np.array([0.5, 0.9, 0.7, 0.5]), np.array([True, True, False, False]), 4)
    np.testing.assert_allclose(sweep.thresholds, [0.9, 0.7, 0.5])
    np.testing.assert_allclose(sweep.precision, [1, 1 / 2, 2 / 4])
    np.testing.assert_allclose(sweep.recall, [1 / 4, 1 / 4, 2 / 4])
    np.testing.assert_allclose(sweep.f1, [2 / 5, 2 / 6, 4 / 8])
    assert sweep.best() == dict(f1=0.5, threshold=0.5, precision=0.5, recall=0.5)
    curve = sweep.precision_curve()
    assert curve[:26].tolist() == [1] * 26 and curve[26:51].tolist() == [0.5] * 25 and not curve[51:].any()
    f1 = sweep.f1_curve()
    assert [f1[0], f1[50], f1[51], f1[90], f1[91]] == pytest.approx([0.5, 0.5, 2 / 6, 2 / 5, 0])


def test_average_precision_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    scores, hits = rng.integers(0, 20, 200) / 20, rng.random(200) < 0.3
    sweep = Sweep.of_scores(scores, hits, int(hits.sum()))
    assert sweep.average_precision == pytest.approx(average_precision_score(hits, scores))


def test_sweeps_without_positives_or_predictions():
    none = dict(f1=None, threshold=None, precision=None, recall=None)
    assert Sweep.of_scores(np.array([0.5]), np.array([False]), 0).best() == none
    nothing = Sweep.of_scores(np.zeros(0), np.zeros(0, bool), 2)
    assert nothing.best() == {**none, 'f1': 0.0}
    assert not nothing.precision_curve().any() and not nothing.f1_curve().any()


def test_one_threshold_for_all_classes():
    sweeps = [
        Sweep.of_scores(np.array([0.9, 0.4]), np.array([True, True]), 2),
        Sweep.of_scores(np.array([0.8, 0.4]), np.array([False, True]), 1),
    ]
    together = merge(sweeps)
    np.testing.assert_allclose(together.thresholds, [0.9, 0.8, 0.4])
    assert together.true.tolist() == [1, 1, 3] and together.found.tolist() == [1, 2, 4] and together.positives == 3


def test_histograms_of_probabilities():
    histogram = np.zeros((2, BINS), int)
    # Of other classes and of this one, by probability.
    histogram[0, [100, 900]] = 3, 1
    histogram[1, [200, 900]] = 2, 5
    sweep = Sweep.of_histogram(histogram)
    assert sweep.positives == 7
    assert sweep.best() == dict(f1=pytest.approx(14 / 15), threshold=0.2, precision=7 / 8, recall=1.0)


def test_sizes():
    assert size_of_area(np.array([0, 1023, 1024, 9215, 9216, 1e9])).tolist() == [0, 0, 1, 1, 2, 2]
