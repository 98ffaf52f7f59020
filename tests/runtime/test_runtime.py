"""The runtime against the checkpoint that its model came from, without mm, and with bad input."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from deploy_cases import CLASSIFIER, SEGMENTOR, detector_config, export
from mmengine.config import Config

from lcnet_mm.apis import predict
from lcnet_mm.deploy.parity import box_iou
from lcnet_mm.runtime import Classifier, Detections, Detector, Segmentor, load_model
from lcnet_mm.utils.errors import UserError
from lcnet_mm.utils.models import build_model

ROOT = Path(__file__).parents[2]

# Runs the runtime where nothing but NumPy, OpenCV and OpenVINO can be imported.
WITHOUT_MM = """
import runpy, sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in ('torch', 'torchvision', 'mmengine', 'mmcv', 'mmdet', 'mmseg', 'mmpretrain',
                                  'mmdeploy', 'onnx', 'onnxruntime', 'nncf', 'sklearn', 'timm', 'pycocotools'):
            raise ImportError(f'{name} is blocked')
sys.meta_path.insert(0, Block())
runpy.run_module('lcnet_mm.runtime', run_name='__main__')
"""


def run(*args: object) -> subprocess.CompletedProcess:
    command = [sys.executable, '-c', WITHOUT_MM, *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=300)


@pytest.fixture(scope='module', params=['detection', 'detection-raw'])
def detector(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    cfg = detector_config('gfl', 3)
    # The size that the model is tested with, so that both sides see the same pixels.
    for step in cfg.test_pipeline:
        if step.type == 'Resize':
            step.scale = (128, 96)
    cfg.test_dataloader.dataset.pipeline = cfg.test_pipeline
    result = export(f'{request.param}_openvino_static-320x320', cfg, folder, (128, 96))
    assert result.passed
    return folder, cfg


def test_equals_predictions_of_the_checkpoint(detector, tmp_path):
    folder, cfg = detector
    image = folder / 'image.png'
    expected = predict(cfg, folder / 'random.pth', [image], tmp_path, score_thr=0.0).images[0]['detections']
    found = Detector(folder / 'export')(image)
    assert isinstance(found, Detections) and len(found.scores) == len(expected) > 10
    np.testing.assert_allclose(found.scores, [d['score'] for d in expected], rtol=1e-3, atol=1e-5)
    # Of equal scores either order will do.
    overlap = box_iou(found.boxes, np.array([d['bbox'] for d in expected]))
    same = found.labels[:, None] == np.array([d['label'] for d in expected])[None]
    assert ((overlap >= 0.99) & same).any(1).mean() == 1


def test_one_array_several_and_a_stream_agree(detector):
    folder, _ = detector
    model = Detector(folder / 'export', threads=1)
    image = cv2.imread(str(folder / 'image.png'))
    images = [image, np.ascontiguousarray(image[:40]), str(folder / 'image.png')]
    one_by_one = model(images)
    assert len(one_by_one) == 3
    for single, streamed in zip(one_by_one, model.infer_many(images, progress=False), strict=True):
        for first, second in zip(single, streamed, strict=True):
            np.testing.assert_allclose(first, second, rtol=1e-4, atol=1e-3)
    assert one_by_one[1].boxes[:, 3].max() <= 40


def test_command_line_without_mm(detector, tmp_path):
    folder, _ = detector
    images = tmp_path / 'images'
    (images / 'below').mkdir(parents=True)
    rng = np.random.default_rng(0)
    odd = {
        'dot.png': rng.integers(0, 255, (1, 1, 3), np.uint8),
        'line.png': rng.integers(0, 255, (10, 10000, 3), np.uint8),
        'grey.png': rng.integers(0, 255, (30, 40), np.uint8),
        'alpha.png': rng.integers(0, 255, (30, 40, 4), np.uint8),
        'deep.png': rng.integers(0, 65535, (30, 40, 3), np.uint16),
        'below/dot.png': rng.integers(0, 255, (20, 20, 3), np.uint8),
    }
    for name, image in odd.items():
        cv2.imwrite(str(images / name), image)
    (images / 'broken.jpg').write_bytes(b'\xff\xd8 not an image')
    result = run(folder / 'export', images, '--out', tmp_path / 'out', '--score-thr', '0.001')
    assert result.returncode == 1 and 'Traceback' not in result.stderr, result.stderr
    report = json.loads((tmp_path / 'out' / 'predictions.json').read_text())
    assert {Path(image['file']).relative_to(images).as_posix() for image in report['images']} == set(odd)
    assert len({image['drawing'] for image in report['images']}) == len(odd)
    assert [Path(failure['file']).name for failure in report['failures']] == ['broken.jpg']
    assert 'broken.jpg' in result.stderr
    for image in report['images']:
        assert Path(image['drawing']).is_file()
        for detection in image['detections']:
            left, top, right, bottom = detection['bbox']
            assert 0 <= left <= right <= image['width'] and 0 <= top <= bottom <= image['height']


def test_video(detector, tmp_path):
    folder, _ = detector
    video = tmp_path / 'video.avi'
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter.fourcc(*'MJPG'), 10, (64, 48))
    for value in (0, 100, 200):
        writer.write(np.full((48, 64, 3), value, np.uint8))
    writer.release()
    result = run(folder / 'export', video, '--out', tmp_path / 'out')
    assert result.returncode == 0, result.stderr
    assert len(json.loads((tmp_path / 'out' / 'predictions.json').read_text())['frames']) == 3
    assert (tmp_path / 'out' / 'video.mp4').stat().st_size > 0


@pytest.mark.parametrize('form', ['segmentation', 'segmentation-raw'])
def test_segmentor(form, tmp_path):
    result = export(f'{form}_openvino_static-512x1024', Config(SEGMENTOR), tmp_path, (128, 64))
    image = cv2.imread(str(tmp_path / 'image.png'))
    mask = Segmentor(result.work_dir)(image)
    assert mask.shape == image.shape[:2] and mask.dtype == np.uint8
    # The image at the size of the network gives the network's own classes.
    small = cv2.resize(image, (128, 64), interpolation=cv2.INTER_LINEAR)
    expected = expected_output(SEGMENTOR, tmp_path / 'random.pth', small)
    assert (Segmentor(result.work_dir)(small) == expected.argmax(0)).mean() >= 0.995


def test_classifier(tmp_path):
    result = export('classification_openvino_static-224x224', Config(CLASSIFIER), tmp_path, (64, 64))
    image = cv2.imread(str(tmp_path / 'image.png'))
    resized = cv2.resize(image, (int(110 * 72 / 70), 72), interpolation=cv2.INTER_LINEAR)
    top, left = (72 - 64) // 2, round((resized.shape[1] - 64) / 2)
    expected = expected_output(CLASSIFIER, tmp_path / 'random.pth', resized[top : top + 64, left : left + 64])
    expected = torch.tensor(expected).softmax(0).numpy()
    probabilities = Classifier(result.work_dir)(image)
    assert probabilities.shape == (7,)
    np.testing.assert_allclose(probabilities, expected, atol=1e-4)
    assert run(result.work_dir, tmp_path / 'image.png', '--out', tmp_path / 'out').returncode == 0
    (done,) = json.loads((tmp_path / 'out' / 'predictions.json').read_text())['images']
    assert done['top'][0]['label'] == int(expected.argmax())


def expected_output(config: dict, checkpoint: Path, image: np.ndarray) -> np.ndarray:
    """What PyTorch computes for an image of the network's size: logits without the batch axis."""
    from mmengine.registry import init_default_scope

    cfg = Config(config)
    init_default_scope(cfg.default_scope)
    model = build_model(cfg).eval()
    model.load_state_dict(torch.load(checkpoint)['state_dict'], strict=False)
    mean, std = (torch.tensor([123.675, 116.28, 103.53]), torch.tensor([58.395, 57.12, 57.375]))
    rgb = torch.from_numpy(np.ascontiguousarray(image[..., ::-1])).float()
    tensor = ((rgb - mean) / std).permute(2, 0, 1)[None]
    with torch.no_grad():
        if cfg.default_scope == 'mmseg':
            size = tuple(image.shape[:2])
            return model.encode_decode(tensor, [dict(img_shape=size, ori_shape=size)])[0].numpy()
        return model(tensor, mode='tensor')[0].numpy()


def test_bad_models(detector, tmp_path):
    folder, _ = detector
    export_dir = tmp_path / 'export'

    def copy() -> Path:
        shutil.rmtree(export_dir, ignore_errors=True)
        return Path(shutil.copytree(folder / 'export', export_dir))

    def edit(**changes: object) -> None:
        file = copy() / 'model.json'
        file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))

    for name in ('end2end.xml', 'end2end.bin', 'model.json'):
        (copy() / name).unlink()
        with pytest.raises(UserError, match=name.replace('.', r'\.')):
            Detector(export_dir)
        file = copy() / name
        file.write_bytes(file.read_bytes()[:-100])
        with pytest.raises(UserError, match=name.replace('.', r'\.')):
            Detector(export_dir)
    with pytest.raises(UserError, match='does not exist'):
        load_model(tmp_path / 'none')
    with pytest.raises(UserError, match='not for segmentation'):
        Segmentor(copy())
    edit(format=99)
    with pytest.raises(UserError, match='99'):
        Detector(export_dir)
    file = copy() / 'end2end.xml'
    file.write_text(' ' * file.stat().st_size)
    with pytest.raises(UserError, match='cannot be read'):
        Detector(export_dir)
    if json.loads((folder / 'export' / 'model.json').read_text())['output']['form'] == 'raw':
        edit(classes=['one'])
        with pytest.raises(UserError, match=r'3 classes.*names 1'):
            Detector(export_dir)
    result = run(tmp_path / 'none', folder / 'image.png', '--out', tmp_path / 'out')
    assert result.returncode == 1 and result.stderr.startswith('error: ') and not (tmp_path / 'out').exists()
    (tmp_path / 'empty').mkdir()
    result = run(folder / 'export', tmp_path / 'empty', '--out', tmp_path / 'out')
    assert result.returncode == 1 and 'no image' in result.stderr and 'Traceback' not in result.stderr


@pytest.mark.parametrize(
    'image', [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32), np.zeros((0, 4, 3), np.uint8), 'none.png']
)
def test_bad_images(detector, image):
    with pytest.raises(UserError, match='image'):
        Detector(detector[0] / 'export')(image)
