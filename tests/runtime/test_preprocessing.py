"""The runtime's resizes are those of the transforms that the model was tested with."""

import sys

import numpy as np
import pytest
from deploy_cases import CLASSIFIER
from mmengine.config import Config
from mmpretrain.registry import TRANSFORMS

from lcnet_mm.data.spec import resolve_config
from lcnet_mm.deploy.description import describe_preprocessing
from lcnet_mm.runtime import Detector
from lcnet_mm.runtime.models import Geometry
from lcnet_mm.runtime.preprocessing import apply_steps
from lcnet_mm.utils.errors import UserError


def describe(*steps):
    cfg = Config(CLASSIFIER)
    cfg.test_pipeline = [dict(type='LoadImageFromFile'), *steps, dict(type='PackInputs')]
    return describe_preprocessing(resolve_config(cfg))


@pytest.mark.parametrize('edge', ['short', 'long', 'width', 'height'])
@pytest.mark.parametrize('backend, interpolation', [('cv2', 'bicubic'), ('pillow', 'bicubic'), ('pillow', 'bilinear')])
def test_resize_edge(edge, backend, interpolation):
    step = dict(type='ResizeEdge', scale=37, edge=edge, backend=backend, interpolation=interpolation)
    description = describe(step)
    assert description['steps'] == [
        dict(type='resize_edge', size=37, edge=edge, interpolation=interpolation, backend=backend)
    ]
    for height, width in ((70, 111), (113, 64), (50, 50)):
        image = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
        expected = TRANSFORMS.build(step)(dict(img=image))['img']
        found, scale = apply_steps(image, description)
        assert np.array_equal(found, expected)
        assert scale == (found.shape[1] / width, found.shape[0] / height)


def test_descriptions_of_older_exports_mean_the_short_edge_and_opencv():
    step = dict(type='resize_edge', size=20, interpolation='bilinear')
    new = dict(step, edge='short', backend='cv2')
    image = np.random.default_rng(0).integers(0, 256, (50, 80, 3), np.uint8)
    old, _ = apply_steps(image, dict(steps=[step], pad_size_divisor=1))
    assert old.shape == (20, 32, 3)
    assert np.array_equal(old, apply_steps(image, dict(steps=[new], pad_size_divisor=1))[0])


def test_what_a_description_cannot_express():
    with pytest.raises(UserError, match="interpolation 'area' of backend 'pillow'"):
        describe(dict(type='ResizeEdge', scale=20, backend='pillow', interpolation='area'))
    with pytest.raises(UserError, match='has the step RandomCrop'):
        describe(dict(type='RandomCrop', crop_size=20))


def test_pillow_is_asked_for(monkeypatch):
    monkeypatch.setitem(sys.modules, 'PIL', None)
    description = describe(dict(type='ResizeEdge', scale=20, backend='pillow'))
    with pytest.raises(UserError, match='pip install pillow'):
        apply_steps(np.zeros((50, 80, 3), np.uint8), description)


def test_every_box_is_clipped_to_the_image():
    """Those of heads too that do not clip their boxes themselves."""
    detector = object.__new__(Detector)
    detector.description = dict(output=dict(form='end2end'))
    detector.classes, detector.score_threshold, detector._selected = ['a', 'b'], 0.0, None
    dets = np.array([[-10, 5, 70, 90, 0.9], [8, 8, 16, 16, 0.5], [0, 0, 0, 0, 0]], np.float32)
    # An image of 100 x 50 pixels, resized to 64 x 64.
    geometry = Geometry((50, 100), (0.64, 1.28), (64, 64))
    found = detector.finish(dict(dets=dets, labels=np.array([1, 0, 0])), geometry)
    np.testing.assert_allclose(found.boxes, [[0, 3.90625, 100, 50], [12.5, 6.25, 25, 12.5]])
    assert found.labels.tolist() == [1, 0] and found.scores.tolist() == pytest.approx([0.9, 0.5])
