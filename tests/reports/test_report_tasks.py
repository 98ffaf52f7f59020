"""What a report says of each task, against cases by hand."""

import cv2
import numpy as np
import pytest
import torch

from lcnet_mm.reports import ReportMetric
from lcnet_mm.reports.classification import describe_classification
from lcnet_mm.reports.detection import describe_detections
from lcnet_mm.reports.matching import Truth
from lcnet_mm.reports.segmentation import describe_segmentation
from lcnet_mm.utils.errors import UserError


@pytest.fixture(autouse=True)
def no_plots(monkeypatch):
    """Save no plots, which takes most of the time."""
    monkeypatch.setattr('lcnet_mm.reports.figures._save', lambda *_: b'')


def detections(*found, path='none.jpg') -> dict:
    """An image with detections: box, label, score."""
    boxes = np.array([box for box, _, _ in found], np.float32).reshape(-1, 4)
    labels = np.array([label for _, label, _ in found], int)
    scores = np.array([score for _, _, score in found], np.float32)
    return dict(path=path, shape=(100, 200), boxes=boxes, labels=labels, scores=scores)


# Small, medium and large boxes that do not touch.
SMALL, MEDIUM, LARGE = (0, 0, 20, 20), (50, 0, 100, 50), (0, 100, 150, 250)
ELSEWHERE = (300, 300, 340, 340)


def test_detector_by_hand():
    images = [
        detections((SMALL, 0, 0.9), (MEDIUM, 1, 0.8), (ELSEWHERE, 0, 0.7)),
        # The label is of class 0: a confusion. Most of it is below the best threshold.
        detections((LARGE, 1, 0.6), (ELSEWHERE, 1, 0.1)),
        detections(),
    ]
    truths = [Truth.of_boxes([SMALL, MEDIUM], [0, 1]), Truth.of_boxes([LARGE], [0]), Truth.of_boxes([], [])]
    content = describe_detections(images, truths, ['cat', 'dog', 'cow'])
    cat, dog, cow = content.values['classes']
    # Recall 1/2 at precision 1, which is 51 of 101 points; COCO's first hit has precision 1 / (1 + eps).
    assert cat['boxes'] == 2 and cat['ap'] == pytest.approx(51 / 101) == cat['ap50']
    assert cat['best_f1'] == dict(f1=pytest.approx(2 / 3), threshold=pytest.approx(0.9), precision=1.0, recall=0.5)
    assert cat['ap_by_size'] == dict(small=pytest.approx(1), medium=None, large=0.0)
    assert dog['ap'] == pytest.approx(1) and dog['best_f1']['f1'] == 1 and dog['best_f1']['recall'] == 1
    assert cow['boxes'] == 0 and cow['ap'] is None and cow['best_f1']['f1'] is None
    assert content.values['ap'] == pytest.approx((51 / 101 + 1) / 2)
    # All classes: F1 is 4/5 with the first two.
    assert content.values['all_classes']['best_f1']['f1'] == pytest.approx(4 / 5)
    assert content.values['confusion']['threshold'] == pytest.approx(0.8)
    assert content.values['confusion']['names'] == ['cat', 'dog', 'cow', 'background']
    assert content.values['confusion']['counts'] == [[1, 0, 0, 1], [0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    sizes = content.values['sizes']
    assert {size: values['boxes'] for size, values in sizes.items()} == dict(small=1, medium=1, large=1)
    assert sizes['medium']['ap'] == pytest.approx(1) and sizes['large']['ap'] == 0
    assert content.data['images'] == 3 and content.data['boxes'] == 3 and content.data['images without a box'] == 1
    assert content.data['median size'] == '200x100' and content.data['detections'] == 5
    assert [figure.text for figure in content.worst] == ['1 error: 1 labels, 0 detections']
    assert '1 of 3 classes have no labeled box, and no values: cow' in content.notes


def test_confusion_with_the_background():
    # Only detections of score 0.9: a confusion, a miss, something where there is nothing, and one in a crowd.
    image = detections((SMALL, 1, 0.9), (ELSEWHERE, 0, 0.9), ((60, 0, 90, 50), 0, 0.9), (LARGE, 0, 0.9))
    truth = Truth.of_boxes([SMALL, MEDIUM, LARGE, (500, 0, 540, 40)], [0, 1, 0, 1], [False, True, False, False])
    content = describe_detections([image], [truth], ['cat', 'dog'])
    assert content.values['confusion']['counts'] == [[1, 1, 0], [0, 0, 1], [1, 0, 0]]
    assert content.data['boxes'] == 3 and content.data['boxes ignored'] == 1
    frequent = content.tables[1].rows
    assert ('cat', 'dog', 1, 0.5) in frequent and ('background', 'cat', 1, 1.0) in frequent
    assert content.worst[0].text == '3 errors: 4 labels, 4 detections'


@pytest.mark.parametrize('labeled', [True, False])
@pytest.mark.parametrize('found', [True, False])
def test_detector_with_nothing(labeled, found):
    image = detections(*[(SMALL, 0, 0.5)] * found)
    content = describe_detections([image], [Truth.of_boxes([SMALL] * labeled, [0] * labeled)], ['thing'])
    assert content.values['ap'] == (pytest.approx(float(found)) if labeled else None)
    assert any('found nothing' in note for note in content.notes) is not found
    assert any('no labeled box' in note for note in content.notes) is not labeled
    (row,) = content.classes.rows
    assert len(row) == len(content.classes.columns) and row[1] == labeled


def samples(metric: ReportMetric, *entries: dict) -> list[dict]:
    """What a metric keeps of some samples."""
    metric.process({}, entries)
    metric.compute_metrics(metric.results)
    return metric.images


def segmented(true, logits, path='none.png') -> dict:
    logits = torch.tensor(logits, dtype=torch.float)
    return dict(
        img_path=path,
        ori_shape=(2, 3),
        gt_sem_seg=dict(data=torch.tensor([true])),
        pred_sem_seg=dict(data=logits.argmax(0, keepdim=True)),
        seg_logits=dict(data=logits),
    )


def test_segmentor_by_hand(tmp_path):
    cv2.imwrite(str(tmp_path / 'a.png'), np.zeros((2, 3, 3), np.uint8))
    # Of five labeled pixels, one of class 0 is taken for class 1.
    true = [[0, 0, 1], [0, 1, 255]]
    second = np.array([[0.1, 0.8, 0.9], [0.2, 0.7, 0.6]])
    logits = np.log([1 - second, second, np.full_like(second, 1e-9)])
    images = samples(ReportMetric('segmentation', 3), segmented(true, logits, str(tmp_path / 'a.png')))
    content = describe_segmentation(images, ['road', 'sky', 'sun'])
    assert content.values['confusion']['counts'] == [[2, 1, 0], [0, 2, 0], [0, 0, 0]]
    road, sky, sun = content.values['classes']
    assert (road['iou'], road['precision'], road['recall'], road['f1']) == pytest.approx((2 / 3, 1, 2 / 3, 4 / 5))
    assert (sky['iou'], sky['precision'], sky['recall'], sky['f1']) == pytest.approx((2 / 3, 2 / 3, 1, 4 / 5))
    assert sun['iou'] is None and sun['best_f1']['f1'] is None
    # From 0.7 on all of the sky, and one other pixel, are found.
    assert sky['best_f1']['f1'] == pytest.approx(4 / 5) and sky['best_f1']['threshold'] == pytest.approx(0.7, abs=1e-3)
    assert content.values['sizes']['small'] == dict(pixels=5, recall=4 / 5)
    assert content.data['labeled pixels'] == 5
    (worst,) = content.worst
    assert worst.text == '20.0% of the pixels are wrong; most are road taken for sky'
    # The image, the label and the prediction with gaps between them, 640 pixels wide each.
    assert cv2.imdecode(np.frombuffer(worst.data, np.uint8), 1).shape == (427, 3 * 640 + 2 * 6, 3)


def test_segmentor_keeps_the_masks_of_the_worst_images_only():
    metric = ReportMetric('segmentation', 2)
    zeros = np.log([[[0.9] * 4], [[0.1] * 4]])
    labels = [[0, 0, 0, 0], *[[1, 0, 0, 0]] * 12, [1, 1, 0, 0], [0, 0, 0, 1]]
    images = samples(metric, *(segmented([label], zeros) for label in labels))
    # Twelve of one wrong pixel, and one that is worse than they are.
    assert [number for number, image in enumerate(images) if 'truth' in image] == list(range(1, 14))
    content = describe_segmentation(images, ['a', 'b'])
    assert [figure.text.partition('%')[0] for figure in content.worst] == ['50.0', *['25.0'] * 11]
    assert content.values['confusion']['counts'] == [[60 - 15, 0], [15, 0]]


def test_segmentor_of_one_output_and_an_empty_label():
    entry = segmented([[255, 255]], np.zeros((1, 1, 2)))
    content = describe_segmentation(samples(ReportMetric('segmentation', 2), entry), ['a', 'b'])
    assert content.data['images without a label'] == 1 and not content.worst
    assert any('no curves' in note for note in content.notes)


def classified(label, scores) -> dict:
    given = dict(gt_label=torch.tensor([label]), pred_score=torch.tensor(scores))
    return dict(img_path='x/none.jpg', ori_shape=(8, 8), **given)


def test_classifier_by_hand():
    entries = [
        classified(0, [0.7, 0.2, 0.1]),
        classified(0, [0.4, 0.6, 0.0]),
        classified(1, [0.1, 0.9, 0.0]),
        classified(1, [0.3, 0.5, 0.2]),
    ]
    content = describe_classification(samples(ReportMetric('classification', 3), *entries), ['a', 'b', 'c'])
    assert content.values['accuracy'] == 3 / 4
    assert content.values['confusion']['counts'] == [[1, 1, 0], [0, 2, 0], [0, 0, 0]]
    a, b, c = content.values['classes']
    assert (a['precision'], a['recall'], a['f1']) == pytest.approx((1, 1 / 2, 2 / 3))
    assert (b['precision'], b['recall'], b['f1']) == pytest.approx((2 / 3, 1, 4 / 5))
    assert (c['precision'], c['recall'], c['f1'], c['ap']) == (None, None, None, None)
    # Scores of a: 0.7 right, 0.4 right. Of b: 0.9 right, 0.6 wrong, 0.5 right.
    assert a['ap'] == pytest.approx(1) and b['ap'] == pytest.approx(1 / 2 + 1 / 2 * 2 / 3)
    assert a['best_f1'] == dict(f1=1.0, threshold=pytest.approx(0.4), precision=1.0, recall=1.0)
    assert [figure.text for figure in content.worst] == ['labeled a 0.40, predicted b 0.60']
    assert content.worst[0].title == 'x/none.jpg' and content.data['wrong'] == 1


def test_several_labels_are_refused():
    entry = classified(0, [0.5, 0.5]) | dict(gt_label=torch.tensor([0, 1]))
    with pytest.raises(UserError, match=r'needs one label for each image, and x/none\.jpg has 2'):
        ReportMetric('classification', 2).process({}, [entry])
