import json

import cv2
import numpy as np
import pytest
import torch

from lcnet_mm.apis import UserError, load_config, predict
from lcnet_mm.utils.models import build_model

DEMO = 'configs/demo/lcnet_0.5x_digits.py'


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    """An untrained demo model whose scores lie around a half, so that it detects something everywhere."""
    torch.manual_seed(0)
    model = build_model(load_config(DEMO))
    model.init_weights()
    with torch.no_grad():
        for predictor in model.bbox_head.predictors:
            predictor.bias[:10] = 0
    path = tmp_path_factory.mktemp('weights') / 'model.pth'
    torch.save(dict(state_dict=model.state_dict(), meta=dict(dataset_meta=dict(classes=tuple('0123456789')))), path)
    return path


def write(path, image):
    cv2.imencode(path.suffix, image)[1].tofile(path)
    return path


def test_drawings_and_json(tmp_path, checkpoint):
    rng = np.random.default_rng(0)
    for folder in ('a', 'b'):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder / 'same.png', rng.integers(0, 256, (90, 160, 3), dtype=np.uint8))
    grey = write(tmp_path / 'größe.png', rng.integers(0, 256, (50, 40), dtype=np.uint8))
    deep = write(tmp_path / 'deep.png', rng.integers(0, 65536, (50, 40, 3), dtype=np.uint16))
    result = predict(
        load_config(DEMO), checkpoint, [tmp_path / 'a', tmp_path / 'b', grey, deep], tmp_path / 'out', score_thr=0.4
    )
    assert not result.failures
    content = json.loads((tmp_path / 'out' / 'predictions.json').read_text())
    assert content['images'] == result.images and len(result.images) == 4
    assert len({image['drawing'] for image in result.images}) == 4
    first = result.images[0]
    assert (first['width'], first['height']) == (160, 90)
    assert first['detections']
    scores = [detection['score'] for detection in first['detections']]
    assert scores == sorted(scores, reverse=True) and min(scores) >= 0.4
    for detection in first['detections']:
        x1, y1, x2, y2 = detection['bbox']
        assert 0 <= x1 < x2 <= 160.01 and 0 <= y1 < y2 <= 90.01
        assert detection['class'] == str(detection['label'])
    drawing = cv2.imdecode(np.fromfile(first['drawing'], np.uint8), cv2.IMREAD_COLOR)
    assert drawing.shape == (90, 160, 3)


def test_a_bad_image_does_not_stop_the_others(tmp_path, checkpoint):
    good = write(tmp_path / 'good.png', np.zeros((40, 40, 3), np.uint8))
    (tmp_path / 'broken.jpg').write_bytes(b'no image')
    (tmp_path / 'empty.jpg').write_bytes(b'')
    result = predict(
        load_config(DEMO), checkpoint, [tmp_path / 'broken.jpg', good, tmp_path / 'empty.jpg'], tmp_path / 'out'
    )
    assert [image['file'] for image in result.images] == [str(good)]
    assert [failure['file'] for failure in result.failures] == [
        str(tmp_path / 'broken.jpg'),
        str(tmp_path / 'empty.jpg'),
    ]


def test_missing_inputs_are_named_before_anything_is_made(tmp_path, checkpoint):
    (tmp_path / 'folder').mkdir()
    for path, message in ((tmp_path / 'none.jpg', 'does not exist'), (tmp_path / 'folder', 'has no image')):
        with pytest.raises(UserError, match=message):
            predict(load_config(DEMO), checkpoint, [path], tmp_path / 'out')
    assert not (tmp_path / 'out').exists()


def test_names_come_from_the_config_where_the_checkpoint_has_none(tmp_path, checkpoint):
    """Also where its test data are wrapped; mmdet alone would take the names of COCO."""
    state = torch.load(checkpoint, weights_only=False)['state_dict']
    torch.save(dict(state_dict=state, meta={}), tmp_path / 'bare.pth')
    image = write(tmp_path / 'a.png', np.random.default_rng(0).integers(0, 256, (90, 160, 3), dtype=np.uint8))
    cfg = load_config(DEMO)
    dataset = cfg.test_dataloader.dataset
    dataset.metainfo.classes = tuple(f'digit {index}' for index in range(10))
    cfg.test_dataloader.dataset = dict(type='RepeatDataset', times=1, dataset=dataset)
    (found,) = predict(cfg, tmp_path / 'bare.pth', [image], tmp_path / 'out', score_thr=0.4).images
    assert found['detections']
    assert all(entry['class'] == f'digit {entry["label"]}' for entry in found['detections'])


def test_configs_that_cannot_predict(tmp_path, checkpoint):
    image = write(tmp_path / 'a.png', np.zeros((40, 40, 3), np.uint8))
    cfg = load_config(DEMO)
    cfg.pop('test_dataloader')
    cfg.pop('test_pipeline')
    with pytest.raises(UserError, match='has no test pipeline'):
        predict(cfg, checkpoint, [image], tmp_path / 'out')
    cfg.default_scope = 'mmengine'
    with pytest.raises(UserError, match='default_scope mmdet or mmseg or mmpretrain, got mmengine'):
        predict(cfg, checkpoint, [image], tmp_path / 'out')
    assert not (tmp_path / 'out').exists()
