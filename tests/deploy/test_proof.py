"""The proof of an export compares with the config's own test pipeline, and what cannot be exported is refused."""

import json
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from deploy_cases import CLASSIFIER, SEGMENTOR, detector_config, export, save_image, save_random
from mmengine.config import Config, ConfigDict

from lcnet_mm.apis import load_config, predict, test
from lcnet_mm.data.spec import resolve_config
from lcnet_mm.deploy.backend import _stack
from lcnet_mm.deploy.description import describe_preprocessing
from lcnet_mm.deploy.export import deploy
from lcnet_mm.deploy.inputs import check_pixels
from lcnet_mm.deploy.pipelines import at_static_size, own_pipeline
from lcnet_mm.deploy.rewriters import RawDetector, decide_classes
from lcnet_mm.deploy.support import check_support
from lcnet_mm.deploy.tasks import SegmentationModel
from lcnet_mm.runtime import Classifier, Detector, Segmentor
from lcnet_mm.utils.checkpoint import load_weights
from lcnet_mm.utils.errors import UserError
from lcnet_mm.utils.models import build_model

LOAD = dict(type='LoadImageFromFile')
PAD = dict(type='Pad', size=(160, 160), pad_val=dict(img=(114, 114, 114)))


def with_steps(base: dict, *steps: dict, load: dict = LOAD) -> Config:
    """A config with another test pipeline."""
    cfg = Config(base)
    cfg.test_pipeline = [load, *map(dict, steps), base['test_pipeline'][-1]]
    return cfg


@pytest.mark.parametrize(
    'steps, size',
    [
        ([dict(type='Resize', scale=(160, 160), keep_ratio=True), PAD], (160, 160)),
        ([dict(type='Resize', scale=(160, 160), keep_ratio=True), PAD], (96, 96)),
        ([dict(type='Resize', scale=(160, 160), keep_ratio=True)], (160, 160)),
        ([dict(type='Resize', scale=(160, 96), keep_ratio=False, interpolation='bicubic')], (160, 96)),
        ([dict(type='Resize', scale=(100, 100), keep_ratio=False), PAD], (160, 160)),
        ([dict(type='ResizeEdge', scale=72, edge='short'), dict(type='CenterCrop', crop_size=64)], (64, 64)),
    ],
)
@pytest.mark.parametrize('shape', [(60, 320), (320, 60), (100, 100), (33, 47)])
def test_the_export_gets_the_pixels_of_the_test_pipeline(steps, size, shape, tmp_path):
    cfg = with_steps(CLASSIFIER, *steps)
    image = save_image(tmp_path / 'a.png', *shape)
    spec = resolve_config(cfg)
    entry = describe_preprocessing(at_static_size(spec, size))
    found = check_pixels(own_pipeline(spec.pipeline, size), 'mmpretrain', entry, image)
    assert found.passed, found.detail
    # One that stretches does not.
    entry['steps'] = [dict(type='resize', size=list(size), keep_ratio=False, interpolation='area', backend='cv2')]
    assert not check_pixels(own_pipeline(spec.pipeline, size), 'mmpretrain', entry, image).passed


def test_the_own_size_leaves_the_pipeline_alone():
    steps = [ConfigDict(step) for step in (LOAD, dict(type='Resize', scale=(160, 160), keep_ratio=True), PAD)]
    assert own_pipeline(steps, (160, 160)) == steps == own_pipeline(steps, None)
    other = own_pipeline(steps, (96, 96))
    assert other[1] == dict(type='Resize', scale=(96, 96), keep_ratio=True) and other[2].size == (96, 96)


@pytest.mark.parametrize(
    'base, changes, match',
    [
        (CLASSIFIER, [dict(type='ResizeEdge', scale=64)], 'ResizeEdge without a CenterCrop'),
        (CLASSIFIER, [dict(type='RandomCrop', crop_size=64)], 'has the step RandomCrop'),
        (CLASSIFIER, [dict(type='CenterCrop', crop_size=64, auto_pad=True)], 'auto_pad'),
        (SEGMENTOR, [dict(type='Pad', size_divisor=32)], 'Pad without a size'),
    ],
)
def test_pipelines_that_cannot_be_exported(base, changes, match):
    spec = resolve_config(with_steps(base, *changes))
    with pytest.raises(UserError, match=match):
        describe_preprocessing(at_static_size(spec, (64, 64)) if 'Edge' in match else spec)


@pytest.mark.parametrize(
    'load, channels, match',
    [
        (dict(LOAD, color_type='unchanged'), 4, "color_type 'unchanged'"),
        (dict(LOAD, imdecode_backend='tifffile'), 3, "imdecode_backend 'tifffile'"),
        (dict(LOAD, to_float32=True), 3, 'to_float32 True'),
        (dict(type='LoadMultiChannelImageFromFiles'), 3, 'begins with LoadMultiChannelImageFromFiles'),
        (LOAD, 4, 'takes 4 channels, and the test pipeline reads 3'),
        (LOAD, 1, 'needs color_type grayscale'),
        (dict(LOAD, color_type='grayscale'), 3, 'takes 3 channels, and the test pipeline reads 1'),
        (dict(LOAD, color_type='grayscale'), 1, '3 numbers in mean, the model 1 channels'),
    ],
)
def test_images_that_the_runtime_cannot_read(load, channels, match):
    cfg = with_steps(CLASSIFIER, dict(type='Resize', scale=64), load=load)
    cfg.model.backbone.in_channels = channels
    with pytest.raises(UserError, match=match):
        describe_preprocessing(resolve_config(cfg))


def refuse(base: dict, changes: dict, match: str, **model: object) -> None:
    cfg = Config(base)
    cfg.merge_from_dict(changes)
    with pytest.raises(UserError, match=match):
        check_support(SimpleNamespace(**model), resolve_config(cfg), cfg)


def test_settings_that_cannot_be_exported():
    from deploy_cases import RTMDET

    nms = 'model.test_cfg.nms'
    refuse(RTMDET, {nms: dict(type='soft_nms')}, "nms.type='soft_nms' cannot be exported")
    refuse(RTMDET, {nms: dict(type='nms', class_agnostic=True)}, 'class_agnostic=True')
    refuse(RTMDET, {'model.test_cfg.min_bbox_size': 4}, 'min_bbox_size=4')
    refuse(SEGMENTOR, {'model.test_cfg': dict(mode='slide', crop_size=(64, 64), stride=(32, 32))}, "mode='slide'")
    stretched = [*SEGMENTOR['test_pipeline'][:2], dict(type='Pad', size=(64, 64)), SEGMENTOR['test_pipeline'][-1]]
    refuse(SEGMENTOR, dict(test_pipeline=stretched), 'mmseg stretches the padded map', decode_head=None)
    padding = {'model.data_preprocessor.test_cfg': dict(size_divisor=32)}
    refuse(SEGMENTOR, padding, 'data_preprocessor.test_cfg pads', decode_head=None)
    from mmpretrain.models.heads import MultiLabelLinearClsHead

    refuse(CLASSIFIER, {}, 'MultiLabelLinearClsHead cannot be exported', head=MultiLabelLinearClsHead(3, 4))
    spec = resolve_config(Config(RTMDET))
    with pytest.raises(UserError, match=r'100 96 is not a multiple of pad_size_divisor 32.*choose 128 96'):
        at_static_size(SimpleNamespace(**{**vars(spec), 'pad_size_divisor': 32}), (100, 96))


def test_images_with_different_numbers_of_detections():
    parts = [torch.ones(1, 2, 5), torch.ones(1, 4, 5) * 2, torch.ones(1, 0, 5)]
    stacked = _stack(parts)
    assert stacked.shape == (3, 4, 5)
    assert stacked.sum((1, 2)).tolist() == [10, 40, 0]


def test_no_detection_at_all():
    """mmcv's NMS asks for the maximum of the boxes."""
    cfg = Config(dict(score_thr=0.9, nms=dict(type='nms', iou_threshold=0.5), max_per_img=10))
    dets, labels = RawDetector.suppress(torch.zeros(7, 3), torch.rand(7, 4), cfg)
    assert dets.shape == (0, 5) and labels.shape == (0,)
    found = Detector.suppress(
        np.zeros((7, 3)), np.zeros((7, 4)), dict(score_threshold=0.9, iou_threshold=0.5, max_per_image=10)
    )
    assert [part.shape for part in found] == [(0, 4), (0,), (0,)]


def test_padding_is_not_stretched_over_the_image():
    model = object.__new__(SegmentationModel)
    torch.nn.Module.__init__(model)
    model.deploy_cfg = Config(dict(codebase_config=dict(type='mmseg', task='Segmentation', with_argmax=True)))
    output = torch.zeros(1, 1, 8, 8, dtype=torch.long)
    output[..., :4] = 1
    from mmseg.structures import SegDataSample

    sample = SegDataSample(metainfo=dict(ori_shape=(16, 8), img_shape=(8, 8), scale_factor=(0.5, 0.5)))
    (packed,) = model.pack_result(output, [sample])
    assert packed.pred_sem_seg.data.shape == (1, 16, 8) and packed.pred_sem_seg.data.all()


def binary_segmentor(threshold: float) -> Config:
    cfg = Config(SEGMENTOR)
    cfg.model.decode_head.update(
        num_classes=2, out_channels=1, threshold=threshold, loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=True)
    )
    return cfg


def probabilities_of(cfg: Config, checkpoint: Path, image: np.ndarray) -> np.ndarray:
    """What PyTorch computes for an image of the network's size, ``(H, W)``."""
    model = build_model(cfg).eval()
    load_weights(model, checkpoint)
    inputs = model.data_preprocessor(dict(inputs=[torch.from_numpy(image).permute(2, 0, 1)], data_samples=None))
    with torch.no_grad():
        logits = model.encode_decode(inputs['inputs'], [dict(img_shape=(64, 128), ori_shape=(64, 128))])
    return logits.sigmoid()[0, 0].numpy()


@pytest.mark.parametrize('form', ['segmentation', 'segmentation-raw'])
def test_segmentors_of_one_output(form, tmp_path):
    image = cv2.resize(cv2.imread(str(save_image(tmp_path / 'image.png'))), (128, 64))
    cfg = binary_segmentor(0.5)
    # Both classes are there, and the default threshold would give another map.
    probabilities = probabilities_of(cfg, save_random(cfg, tmp_path / 'random.pth'), image)
    threshold = float(np.median(probabilities))
    expected = probabilities > threshold
    assert 0.4 < expected.mean() < 0.6 and ((probabilities > 0.3) != expected).mean() > 0.1
    cfg = binary_segmentor(threshold)
    result = export(f'{form}_openvino_static-512x1024', cfg, tmp_path, (128, 64))
    assert result.passed, result.problem
    assert (Segmentor(result.work_dir)(image) == expected).mean() > 0.995


def test_classes_of_one_output():
    model = SimpleNamespace(out_channels=1, decode_head=SimpleNamespace(threshold=0.3))
    logits = torch.tensor([-2.0, -0.9, -0.8, 3.0]).reshape(1, 1, 2, 2)
    assert decide_classes(model, logits).flatten().tolist() == [0, 0, 1, 1]
    model.out_channels = 2
    assert decide_classes(model, torch.cat((logits, -logits), 1)).flatten().tolist() == [1, 1, 1, 0]


def test_a_gray_classifier_from_its_config_to_the_runtime(tmp_path):
    cfg = with_steps(
        CLASSIFIER,
        dict(type='ResizeEdge', scale=72, edge='short'),
        dict(type='CenterCrop', crop_size=64),
        load=dict(LOAD, color_type='grayscale'),
    )
    cfg.model.backbone.in_channels = 1
    cfg.data_preprocessor = dict(num_classes=7, mean=[120.0], std=[60.0], to_rgb=False)
    result = export('classification_openvino_static-224x224', cfg, tmp_path, (64, 64))
    assert result.passed, result.problem
    described = json.loads((result.work_dir / 'model.json').read_text())['input']
    assert (described['channels'], described['color'], described['read']) == (1, 'GRAY', 'grayscale')
    model, image = Classifier(result.work_dir), tmp_path / 'image.png'
    found = model(image)
    expected = predict(cfg, tmp_path / 'random.pth', [image], tmp_path / 'out').images[0]['top']
    for entry in expected:
        assert found[entry['label']] == pytest.approx(entry['score'], abs=1e-4)
    gray = cv2.imread(str(image), cv2.IMREAD_GRAYSCALE)
    np.testing.assert_allclose(model(gray), found, atol=1e-6)
    np.testing.assert_allclose(model(gray[..., None]), found, atol=1e-6)
    # A frame of a video.
    np.testing.assert_allclose(model(cv2.cvtColor(gray, cv2.COLOR_GRAY2BGR)), found, atol=0.02)


def test_metrics_are_those_of_the_test_command(digits, tmp_path):
    """Images that keep their aspect ratio, batches of two, a network of static shape on ONNX Runtime."""
    cfg = load_config('configs/demo/lcnet_0.5x_digits.py', {'model.test_cfg.score_thr': 1e-4})
    dataset = cfg.test_dataloader.dataset
    dataset.data_root = str(digits)
    resize = next(index for index, step in enumerate(dataset.pipeline) if step.type == 'Resize')
    dataset.pipeline[resize].update(scale=(96, 96), keep_ratio=True)
    dataset.pipeline.insert(resize + 1, ConfigDict(PAD, size=(96, 96)))
    cfg.test_dataloader.update(batch_size=2, num_workers=0, persistent_workers=False)
    cfg.test_evaluator.ann_file = str(digits / 'annotations' / 'instances_val2017.json')
    checkpoint = save_random(cfg, tmp_path / 'random.pth')
    expected = test(cfg.copy(), checkpoint, work_dir=tmp_path / 'test')
    deploy_cfg = load_config('configs/deploy/detection_onnxruntime_static-320x320.py')
    deploy_cfg.onnx_config.input_shape = [96, 96]
    image = save_image(tmp_path / 'wide.png', 60, 320)
    result = deploy(deploy_cfg, cfg, 'c.py', checkpoint, image, tmp_path / 'export', with_data=True)
    assert set(result.metrics['exported']) == set(expected)
    assert result.metrics['pytorch'] == pytest.approx(expected)
    assert result.metrics['exported'] == pytest.approx(expected, abs=5e-3)
    report = json.loads((tmp_path / 'export' / 'parity.json').read_text())
    assert report['pixels']['passed'] and '96x96' in report['pixels']['detail']
    steps = json.loads((tmp_path / 'export' / 'model.json').read_text())['input']['steps']
    assert [step['type'] for step in steps] == ['resize_inside', 'pad'] and steps[1]['value'] == [114, 114, 114]


def test_small_detector_config_is_supported():
    """The thresholds of the families here pass the check of settings."""
    cfg = detector_config('gfl', 3)
    check_support(SimpleNamespace(), resolve_config(cfg), cfg)
