"""Exported files in OpenVINO Model API, which reads their metadata and nothing else."""

import json
from copy import deepcopy

import cv2
import numpy as np
import pytest
from deploy_cases import CLASSIFIER, RTMDET, SEGMENTOR, detector_config, export
from mmengine.config import Config
from model_api.adapters import OpenvinoAdapter
from model_api.models import Model

from lcnet_mm.deploy.model_info import make_model_info, write_model_info
from lcnet_mm.runtime import Classifier, Detector, Segmentor
from lcnet_mm.utils.openvino import openvino_core

FILES = ('end2end.xml', 'end2end.onnx')
GFL = detector_config('gfl', 3)


def open_model(file, **configuration):
    """Open a file as users of Model API do, on the Core of this process: several must not be destroyed out of order."""
    return Model.create_model(OpenvinoAdapter(openvino_core(), str(file), device='CPU'), configuration=configuration)


@pytest.mark.parametrize(
    ('config', 'size', 'resize'),
    [(GFL, (128, 96), 'standard'), (Config(RTMDET), (96, 96), 'fit_to_window')],
    ids=['stretched', 'padded'],
)
def test_detector(config, size, resize, tmp_path):
    result = export('detection_openvino_static-320x320', config, tmp_path, size)
    assert result.note == ''
    image = cv2.imread(str(tmp_path / 'image.png'))
    boxes, scores, labels = Detector(result.work_dir)(image)
    # Model API rounds boxes and leaves out those of at most one pixel.
    whole = np.round(boxes)
    kept = np.prod(whole[:, 2:] - whole[:, :2], axis=1) > 1
    assert kept.sum() > 10
    for name in FILES:
        model = open_model(result.work_dir / name)
        assert model.params.resize_type == resize
        found = model(image)
        # OpenVINO resizes images and OpenCV resizes them a little differently, so that equal scores change places.
        assert len(found.scores) == kept.sum()
        same = (
            (np.abs(found.bboxes[:, None] - boxes[kept]) <= 1).all(-1)
            & (np.abs(found.scores[:, None] - scores[kept]) < 1e-3)
            & (found.labels[:, None] == labels[kept])
        )
        assert same.any(0).all() and same.any(1).all()


def test_detections_have_the_name_that_dl_streamer_looks_for(tmp_path):
    result = export('detection_openvino_static-320x320', GFL, tmp_path, (128, 96))
    model = openvino_core().read_model(result.work_dir / 'end2end.xml')
    assert [output.any_name for output in model.outputs] == ['boxes', 'labels']
    assert model.outputs[0].names == {'boxes', 'dets'}
    assert model.get_rt_info(['model_info', 'model_type']).value == 'ssd'


def test_segmentor(tmp_path):
    result = export('segmentation-raw_openvino_static-512x1024', Config(SEGMENTOR), tmp_path, (128, 64))
    image = cv2.imread(str(tmp_path / 'image.png'))
    segmentor = Segmentor(result.work_dir)
    pixels, _ = segmentor.prepare(image)
    logits = segmentor.compiled([pixels[None]])['output'][0]
    for name in FILES:
        file = result.work_dir / name
        np.testing.assert_array_equal(open_model(file)(image), segmentor(image))
        soft = open_model(file, return_soft_prediction=True)(image).soft_prediction
        expected = cv2.resize(logits.transpose(1, 2, 0), image.shape[1::-1], interpolation=cv2.INTER_NEAREST)
        np.testing.assert_allclose(soft, expected, atol=0.02 * logits.std())


def test_classifier(tmp_path):
    result = export('classification_openvino_static-224x224', Config(CLASSIFIER), tmp_path, (64, 64))
    # Model API cuts out the whole center, the config a part of it; an image of one color looks the same to both.
    image = np.full((70, 110, 3), (200, 60, 20), np.uint8)
    expected = Classifier(result.work_dir)(image)
    for name in FILES:
        found = open_model(result.work_dir / name)(image)
        np.testing.assert_allclose(found.raw_scores, expected, atol=1e-5)
        assert [label.id for label in found.top_labels] == list(np.argsort(-expected)[:5])


@pytest.fixture(scope='module')
def description(tmp_path_factory):
    folder = tmp_path_factory.mktemp('described')
    result = export('classification_openvino_static-224x224', Config(CLASSIFIER), folder, (64, 64))
    return json.loads((result.work_dir / 'model.json').read_text())


def test_names_with_spaces_stay_one_label_each(description):
    names = ['traffic light', ' stop  sign', 'car', 'a\tb', 'c', 'd', 'e']
    info, _ = make_model_info(dict(description, classes=names))
    assert info['labels'].split() == ['traffic_light', 'stop_sign', 'car', 'a_b', 'c', 'd', 'e']


def change(path, value):
    """A change of one entry of a description, such as ``input.size``."""

    def apply(description):
        entry = description
        *parents, last = path.split('.')
        for key in parents:
            entry = entry[int(key)] if isinstance(entry, list) else entry[key]
        entry[last] = value

    return apply


@pytest.mark.parametrize(
    ('changed', 'gap'),
    [
        (change('output.form', 'argmax'), 'outputs of the form argmax'),
        (change('input.channels', 1), 'images of 1 channel'),
        (change('input.size', None), 'the input size or the steps before the network'),
        (change('input.pad_size_divisor', 32), 'the input size or the steps before the network'),
        (change('input.steps.0.interpolation', 'area'), 'the input size or the steps before the network'),
        (change('input.steps.0.edge', 'long'), 'the input size or the steps before the network'),
        (change('input.steps.1.size', [32, 32]), 'the input size or the steps before the network'),
    ],
)
def test_what_cannot_be_expressed_is_named_and_not_written(description, changed, gap):
    description = deepcopy(description)
    changed(description)
    assert make_model_info(description) == ({}, gap)


def test_the_export_says_what_cannot_be_expressed(tmp_path):
    result = export('segmentation_openvino_static-512x1024', Config(SEGMENTOR), tmp_path, (128, 64))
    assert result.note == (
        'the files have no metadata for OpenVINO Model API and DL Streamer, which cannot express outputs of the form '
        'argmax'
    )
    model = openvino_core().read_model(result.work_dir / 'end2end.xml')
    assert not model.has_rt_info(['model_info'])


def test_weights_in_half_precision_stay_so(tmp_path):
    result = export('classification_openvino_static-224x224', Config(CLASSIFIER), tmp_path, (64, 64))
    import openvino

    half = tmp_path / 'half.xml'
    openvino.save_model(openvino_core().read_model(result.work_dir / 'end2end.xml'), half, compress_to_fp16=True)
    weights = half.with_suffix('.bin').read_bytes()
    write_model_info(half, {'labels': 'a b'})
    assert half.with_suffix('.bin').read_bytes() == weights
    assert openvino_core().read_model(half).get_rt_info(['model_info', 'labels']).value == 'a b'
    assert not list(tmp_path.glob('*.partial*'))
