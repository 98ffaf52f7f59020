import cv2
import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import HorizontalBoxes
from mmengine.structures import InstanceData

from lcnet_mm.detection import PaddleDistort, PaddleRandomCrop, resize_collate

# The kernels in the order of the original's list
INTERPOLATIONS = (cv2.INTER_NEAREST, cv2.INTER_LINEAR, cv2.INTER_AREA, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4)


def distort_step_by_step(image_rgb: np.ndarray, prob: float) -> np.ndarray:
    """Apply the four operations of the original one after the other, with the same random numbers."""
    image = image_rgb.astype(np.float64)
    for operation in np.random.permutation(4):
        if np.random.rand() >= prob:
            continue
        if operation == 0:
            image = image + np.random.uniform(0.5, 1.5)
        elif operation == 1:
            image = image * np.random.uniform(0.5, 1.5)
        elif operation == 2:
            factor = np.random.uniform(0.5, 1.5)
            luma = (image * [0.299, 0.587, 0.114]).sum(2, keepdims=True)
            image = image * factor + luma * (1 - factor)
        else:
            angle = np.random.uniform(-18, 18) * np.pi
            u, w = np.cos(angle), np.sin(angle)
            to_yiq = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.321], [0.211, -0.523, 0.311]])
            to_rgb = np.array([[1.0, 0.956, 0.621], [1.0, -0.272, -0.647], [1.0, -1.107, 1.705]])
            matrix = to_rgb @ np.array([[1, 0, 0], [0, u, -w], [0, w, u]]) @ to_yiq
            image = image @ matrix.T
    return image


@pytest.mark.parametrize('seed', range(8))
def test_distort_equals_its_steps(seed):
    image = np.random.default_rng(seed).integers(0, 256, (6, 5, 3), dtype=np.uint8)
    np.random.seed(seed)
    expected = distort_step_by_step(image[..., ::-1], prob=0.7)
    np.random.seed(seed)
    actual = PaddleDistort(prob=0.7).transform(dict(img=image))['img']
    assert actual.dtype == np.float32
    np.testing.assert_allclose(actual[..., ::-1], expected, atol=2e-2, rtol=1e-4)


def test_distort_off_and_wrong_probability():
    image = np.arange(27, dtype=np.uint8).reshape(3, 3, 3)
    np.testing.assert_array_equal(PaddleDistort(prob=0).transform(dict(img=image))['img'], image)
    with pytest.raises(ValueError, match='prob'):
        PaddleDistort(prob=1.5)


def sample(boxes, crowd=None) -> dict:
    image = np.arange(100 * 120 * 3, dtype=np.uint32).reshape(100, 120, 3).astype(np.float32)
    boxes = np.asarray(boxes, dtype=np.float32).reshape(-1, 4)
    return dict(
        img=image,
        img_shape=(100, 120),
        gt_bboxes=HorizontalBoxes(boxes),
        gt_bboxes_labels=np.arange(len(boxes)),
        gt_ignore_flags=np.array(crowd if crowd is not None else [False] * len(boxes)),
    )


def iou(a, b) -> float:
    width = max(0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0, min(a[3], b[3]) - max(a[1], b[1]))
    return width * height / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - width * height)


def test_crop_keeps_the_original_conditions():
    boxes = [[10, 10, 50, 60], [60, 40, 110, 90], [0, 80, 20, 100]]
    crop = PaddleRandomCrop(thresholds=(0.3,))
    cropped = 0
    for seed in range(200):
        np.random.seed(seed)
        results = crop.transform(sample(boxes))
        height, width = results['img'].shape[:2]
        assert results['img_shape'] == (height, width)
        if (height, width) == (100, 120):
            continue
        cropped += 1
        first = int(results['img'][0, 0, 0]) // 3
        top, left = first // 120, first % 120
        window = (left, top, left + width, top + height)
        # The best box overlaps enough, and exactly the boxes with their center inside are kept, clipped and shifted.
        assert max(iou(box, window) for box in boxes) >= 0.3
        kept = [
            index
            for index, (x1, y1, x2, y2) in enumerate(boxes)
            if left < (x1 + x2) / 2 < left + width and top < (y1 + y2) / 2 < top + height
        ]
        assert results['gt_bboxes_labels'].tolist() == kept and kept
        expected = [
            [max(x1 - left, 0), max(y1 - top, 0), min(x2 - left, width), min(y2 - top, height)]
            for x1, y1, x2, y2 in (boxes[index] for index in kept)
        ]
        np.testing.assert_allclose(results['gt_bboxes'].numpy(), expected)
        assert len(results['gt_ignore_flags']) == len(kept)
    # Half of the draws start with "no crop".
    assert 60 < cropped < 140


def test_crop_leaves_images_without_boxes_or_with_crowds_only():
    for seed in range(20):
        np.random.seed(seed)
        assert PaddleRandomCrop().transform(sample([]))['img'].shape == (100, 120, 3)
        assert PaddleRandomCrop().transform(sample([[0, 0, 90, 90]], [True]))['img'].shape == (100, 120, 3)


def test_crop_scale_and_aspect_stay_in_their_ranges():
    crop = PaddleRandomCrop(thresholds=(0.0,))
    shares = []
    for seed in range(300):
        np.random.seed(seed)
        height, width = crop.transform(sample([[20, 20, 100, 80]]))['img'].shape[:2]
        shares.append(height * width / 12000)
        assert 0.45 < (width / 120) / (height / 100) < 2.2
    assert min(shares) < 0.2 and max(shares) == 1.0
    assert min(shares) > 0.3**2 * 0.9


def make_batch() -> list[dict]:
    batch = []
    for height, width in ((40, 60), (50, 30)):
        data_sample = DetDataSample(metainfo=dict(img_shape=(height, width)))
        data_sample.gt_instances = InstanceData(
            bboxes=HorizontalBoxes(torch.tensor([[0.0, 0.0, width / 2, height]])), labels=torch.tensor([1])
        )
        image = np.random.default_rng(height).random((height, width, 3)).astype(np.float32)
        batch.append(dict(inputs=torch.from_numpy(image).permute(2, 0, 1), data_samples=data_sample))
    return batch


def test_collate_resizes_the_whole_batch_to_one_size():
    sizes = set()
    for seed in range(30):
        np.random.seed(seed)
        size = int(np.random.choice([32, 64]))
        interpolation = int(np.random.choice(INTERPOLATIONS))
        np.random.seed(seed)
        batch = make_batch()
        collated = resize_collate(batch, sizes=[32, 64])
        sizes.add((size, interpolation))
        assert collated['inputs'].shape == (2, 3, size, size) and collated['inputs'].dtype == torch.float32
        for image, original, data_sample in zip(
            collated['inputs'], make_batch(), collated['data_samples'], strict=True
        ):
            expected = cv2.resize(
                original['inputs'].permute(1, 2, 0).numpy(), (size, size), interpolation=interpolation
            )
            np.testing.assert_array_equal(image.permute(1, 2, 0).numpy(), expected)
            assert data_sample.img_shape == (size, size)
            height, width = original['inputs'].shape[1:]
            assert data_sample.scale_factor == (size / width, size / height)
            torch.testing.assert_close(
                data_sample.gt_instances.bboxes.tensor, torch.tensor([[0.0, 0.0, size / 2, float(size)]])
            )
    assert len(sizes) == 10


def test_collate_resizes_to_pairs_of_width_and_height():
    np.random.seed(0)
    shapes = set()
    for _ in range(20):
        batch = make_batch()
        height, width = batch[0]['inputs'].shape[1:]
        collated = resize_collate(batch, sizes=[(32, 64), (48, 40)])
        new_height, new_width = collated['inputs'].shape[2:]
        shapes.add((new_width, new_height))
        sample = collated['data_samples'][0]
        assert sample.img_shape == (new_height, new_width)
        assert sample.scale_factor == (new_width / width, new_height / height)
        expected = torch.tensor([[0.0, 0.0, new_width / 2, float(new_height)]])
        torch.testing.assert_close(sample.gt_instances.bboxes.tensor, expected)
    assert shapes == {(32, 64), (48, 40)}
