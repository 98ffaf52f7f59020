"""PaddleClas's augmentation: distribution of the crops and values of the pixels."""

import cv2
import numpy as np
import pytest
from mmengine.registry import TRANSFORMS, init_default_scope

from lcnet_mm.classification import PaddleAutoAugment, UniformAspectRandomResizedCrop


@pytest.fixture(autouse=True)
def seed():
    np.random.seed(0)


def draw(crop, height, width, count=20000):
    return np.array([crop.draw_crop(height, width) for _ in range(count)])


def test_aspect_and_area_are_uniform():
    # A square this large is not rounded much. Up to an area of 3/4 no ratio is capped.
    crop = UniformAspectRandomResizedCrop(crop_ratio_range=(0.08, 0.75))
    left, top, width, height = draw(crop, 2000, 2000).T
    aspect, area = width / height, width * height / 2000**2
    for values, low, high in ((aspect, 3 / 4, 4 / 3), (area, 0.08, 0.75)):
        quantiles = np.quantile(values, np.linspace(0, 1, 11))
        np.testing.assert_allclose(quantiles, np.linspace(low, high, 11), atol=0.02 * (high - low) + 0.002)
    # Not the logarithm: half of the crops would then have a ratio below 1 instead of 3/7.
    assert (aspect < 1).mean() == pytest.approx(3 / 7, abs=0.012)
    assert abs(np.corrcoef(aspect, area)[0, 1]) < 0.03
    # The corner is uniform over what is left of the image.
    for corner, side in ((left, width), (top, height)):
        np.testing.assert_allclose(np.quantile(corner / (2000 - side), [0.1, 0.5, 0.9]), [0.1, 0.5, 0.9], atol=0.02)


def test_the_cap_keeps_the_first_rectangle_inside():
    # Of the ratio r the largest rectangle of a 400 x 100 image has the area r / 4: 3/16 to 1/3 of it.
    left, top, width, height = draw(UniformAspectRandomResizedCrop(), 100, 400).T
    assert width.min() >= 1 and (left + width).max() <= 400 and (top + height).max() <= 100
    area, aspect = width * height / 40000, width / height
    assert (area <= 4 / 3 / 4 + 1e-9).all() and (area <= aspect / 4 + 0.01).all()
    # Between 0.08 and that cap it is uniform: the mean is the middle.
    assert area.mean() == pytest.approx((0.08 + (3 / 4 + 4 / 3) / 2 / 4) / 2, abs=0.005)


@pytest.mark.parametrize('height, width', [(1, 1), (1, 1000), (1000, 1), (3, 5000), (5000, 3), (2, 2), (17, 31)])
def test_extreme_images(height, width):
    crop = UniformAspectRandomResizedCrop(scale=32)
    rectangles = draw(crop, height, width, 2000)
    left, top, crop_width, crop_height = rectangles.T
    assert rectangles[:, 2:].min() >= 1 and rectangles[:, :2].min() >= 0
    assert (left + crop_width).max() <= width and (top + crop_height).max() <= height
    image = np.random.randint(0, 256, (height, width, 3), np.uint8)
    assert crop(dict(img=image))['img'].shape == (32, 32, 3)


def test_values_of_a_given_rectangle(monkeypatch):
    image = np.random.randint(0, 256, (60, 90, 3), np.uint8)
    crop = UniformAspectRandomResizedCrop(scale=(24, 32))
    monkeypatch.setattr(crop, 'draw_crop', lambda height, width: (11, 7, 41, 50))
    results = crop(dict(img=image))
    expected = cv2.resize(image[7:57, 11:52], (32, 24), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_array_equal(results['img'], expected)
    assert results['img_shape'] == (24, 32)


def test_a_seed_decides():
    image = np.random.randint(0, 256, (60, 90, 3), np.uint8)
    images = []
    for value in (1, 1, 2):
        np.random.seed(value)
        images.append(UniformAspectRandomResizedCrop()(dict(img=image))['img'])
    assert (images[0] == images[1]).all() and (images[0] != images[2]).any()


def test_configs_name_it():
    init_default_scope('mmpretrain')
    crop = TRANSFORMS.build(dict(type='UniformAspectRandomResizedCrop', scale=224))
    assert 'scale=(224, 224)' in repr(crop) and 'crop_ratio_range=(0.08, 1.0)' in repr(crop)


@pytest.mark.parametrize(
    'arguments, error, words',
    [
        (dict(scale=0), ValueError, ('scale', '0')),
        (dict(scale=(224,)), ValueError, ('scale', '(224,)')),
        (dict(scale=(224, 2.5)), TypeError, ('scale', '2.5')),
        (dict(crop_ratio_range=(0, 1)), ValueError, ('crop_ratio_range', '0')),
        (dict(crop_ratio_range=(0.5, 1.5)), ValueError, ('crop_ratio_range', '1.5')),
        (dict(crop_ratio_range=(0.5, 0.2)), ValueError, ('crop_ratio_range', '0.5')),
        (dict(crop_ratio_range=0.5), TypeError, ('crop_ratio_range', '0.5')),
        (dict(aspect_ratio_range=(1, 'a')), TypeError, ('aspect_ratio_range', "'a'")),
        (dict(aspect_ratio_range=(-1, 1)), ValueError, ('aspect_ratio_range', '-1')),
    ],
)
def test_wrong_arguments_are_named(arguments, error, words):
    with pytest.raises(error) as caught:
        UniformAspectRandomResizedCrop(**arguments)
    for word in words:
        assert word in str(caught.value)


def steps(transform, kind):
    return [step for policy in transform.transforms for step in policy if type(step).__name__ == kind]


def test_auto_augment_rotates_counterclockwise_and_fills_with_gray():
    init_default_scope('mmpretrain')
    augment = PaddleAutoAugment(128)
    assert len(augment.transforms) == 25
    rotations = steps(augment, 'Rotate')
    assert sorted(round(step.angle) for step in rotations) == [10, 27, 27, 27, 30, 30]
    image = np.zeros((101, 101, 3), np.uint8)
    # A mark right of the center.
    image[50, 90] = 255
    for step in (*rotations, *steps(augment, 'Shear')):
        step.prob = 1.0
        turned = step(dict(img=image))['img']
        # Uncovered pixels, as those of the corners at every angle, are gray in all three channels.
        gray = (turned == 128).all(2)
        assert gray.any() and not ((turned == 128).any(2) & ~gray).any()
        if step in rotations:
            row, column = np.argwhere((turned == 255).all(2))[0]
            assert row < 50 and column > 50
            assert np.degrees(np.arctan2(50 - row, column - 50)) == pytest.approx(step.angle, abs=1.5)


def test_auto_augment_as_a_transform():
    init_default_scope('mmpretrain')
    augment = TRANSFORMS.build(dict(type='PaddleAutoAugment', pad_val=128))
    image = np.random.randint(0, 256, (48, 48, 3), np.uint8)
    results = [augment(dict(img=image.copy()))['img'] for _ in range(50)]
    assert {(result.shape, result.dtype) for result in results} == {((48, 48, 3), np.dtype('uint8'))}
    assert sum((result != image).any() for result in results) > 25
    with pytest.raises(ValueError, match='pad_val must be between 0 and 255, got 300'):
        PaddleAutoAugment(300)
