"""Export of every family of models, and of stock ones, with parity."""

import json
import re
import shutil
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
import torch
from deploy_cases import CLASSIFIER, RTMDET, SEGMENTOR, detector_config, export, save_image, save_random
from mmdeploy.apis import build_task_processor
from mmengine.config import Config

from lcnet_mm.apis import load_config
from lcnet_mm.deploy.backend import OpenVINOWrapper
from lcnet_mm.deploy.evaluation import drops
from lcnet_mm.deploy.export import deploy
from lcnet_mm.deploy.parity import format_table
from lcnet_mm.runtime import Classifier
from lcnet_mm.utils.checkpoint import load_weights
from lcnet_mm.utils.errors import UserError
from lcnet_mm.utils.models import build_model
from lcnet_mm.utils.openvino import openvino_core

DEPLOY_CONFIGS = sorted(Path('configs/deploy').glob('*.py'))

# Ops of the network and its decoding.
NETWORK_OPS = {
    *('Add', 'Cast', 'Concat', 'Constant', 'Conv', 'Gather', 'GlobalAveragePool', 'HardSigmoid', 'HardSwish'),
    # Identity: two equal weights that are stored once.
    *('Identity', 'LeakyRelu', 'MatMul', 'Mod', 'Mul', 'Relu', 'Reshape', 'Resize', 'Shape', 'Sigmoid', 'Slice'),
    *('Softmax', 'Split', 'Sqrt', 'Sub', 'Transpose', 'Unsqueeze'),
}
# Ops of selection and NMS.
NMS_OPS = {
    *('Clip', 'ConstantOfShape', 'Equal', 'Expand', 'Flatten', 'GatherElements', 'Less', 'Min', 'NonMaxSuppression'),
    *('ReduceMax', 'Squeeze', 'TopK', 'Where'),
}


@pytest.mark.parametrize('path', DEPLOY_CONFIGS, ids=lambda path: path.stem)
def test_deploy_configs_are_named_for_what_they_hold(path):
    cfg = load_config(path)
    kind, backend, shape = path.stem.split('_')
    assert cfg.backend_config.type == backend
    task, _, raw = kind.partition('-')
    assert cfg.codebase_config.type == dict(detection='mmdet', segmentation='mmseg', classification='mmpretrain')[task]
    if task == 'detection':
        assert cfg.codebase_config.model_type == ('raw' if raw else 'end2end')
    if task == 'segmentation':
        assert cfg.codebase_config.with_argmax == (raw != 'raw')
        assert cfg.codebase_config.get('argmax_first', False) == (raw == 'argmax-first')
        assert cfg.codebase_config.get('argmax_stride') == {'argmax-half': 2, 'argmax-quarter': 4}.get(raw)
    size = cfg.onnx_config.input_shape
    if shape == 'dynamic':
        assert size is None and set(cfg.onnx_config.dynamic_axes.input) == {0, 2, 3}
    else:
        width, height = size
        assert shape == f'static-{height}x{width}'


def read_table(result):
    """The rows of the table that the command prints, by the words of its header."""
    header, *rows = (re.split(r'  +', line) for line in format_table(result.comparisons).splitlines())
    return [dict(zip(header, row, strict=True)) for row in rows]


@pytest.mark.parametrize('family', ['gfl', 'simota', 'aligned'])
@pytest.mark.parametrize('form', ['detection', 'detection-raw'])
def test_detectors(family, form, tmp_path):
    # One class, other than 80, and a rectangle.
    num_classes = dict(gfl=1, simota=3, aligned=80)[family]
    result = export(f'{form}_openvino_static-320x320', detector_config(family, num_classes), tmp_path, (128, 96))
    assert result.passed, [c for c in result.comparisons if not c.passed]
    assert {c.backend for c in result.comparisons} == {'onnxruntime', 'openvino'}
    assert {c.input for c in result.comparisons} == {'image', 'random 0', 'random 1'}
    ops = Counter(node.op_type for node in onnx.load(result.work_dir / 'end2end.onnx').graph.node)
    raw = form.endswith('raw')
    assert set(ops) <= NETWORK_OPS | (set() if raw else NMS_OPS), set(ops) - NETWORK_OPS - NMS_OPS
    assert ops['NonMaxSuppression'] == (0 if raw else 1)
    model = openvino_core().read_model(result.work_dir / 'end2end.xml')
    types = Counter(op.get_type_name() for op in model.get_ops())
    assert types['If'] == types['Loop'] == 0 and types['HSwish'] == ops['HardSwish']
    assert types['NonMaxSuppression'] == (0 if raw else 1)
    if raw:
        points = sum(-(-96 // s) * -(-128 // s) for s in ((8, 16, 32) if family == 'gfl' else (8, 16, 32, 64)))
        shapes = {output.any_name: list(output.shape) for output in model.outputs}
        assert shapes == dict(scores=[1, points, num_classes], boxes=[1, points, 4])
    else:
        assert not any(c.empty for c in result.comparisons)
    files = {path.name for path in result.work_dir.iterdir()}
    assert files == {
        'end2end.onnx', 'end2end.xml', 'end2end.bin', 'model.json', 'parity.json', 'pytorch.jpg', 'exported.jpg'
    }  # fmt: skip
    assert json.loads((result.work_dir / 'parity.json').read_text())['passed']


def test_dynamic_detector_takes_other_sizes_and_batches(tmp_path):
    # With fewer classes, or at the config's own size, the scores of the best hundred are too close to be compared.
    cfg = detector_config('aligned', 80)
    cfg.test_dataloader.dataset.pipeline[1].scale = (128, 96)
    result = export('detection_openvino_dynamic', cfg, tmp_path, None)
    assert result.passed, result.comparisons
    wrapper = OpenVINOWrapper(str(result.work_dir / 'end2end.xml'), ['dets', 'labels'])
    images = torch.randn(2, 3, 96, 160, generator=torch.Generator().manual_seed(1))
    both = wrapper({'input': images})
    assert both['dets'].shape == (2, 100, 5)
    # The same, one by one, from the same compiled models.
    for index in range(2):
        single = wrapper({'input': images[index : index + 1]})
        torch.testing.assert_close(single['dets'][0], both['dets'][index], rtol=1e-4, atol=1e-3)
    assert len(wrapper.requests) == 2
    wrapper({'input': images})
    assert len(wrapper.requests) == 2


def test_static_model_takes_a_batch_image_by_image_and_refuses_other_sizes(tmp_path):
    result = export('detection-raw_openvino_static-320x320', detector_config('gfl', 2), tmp_path, (96, 64))
    wrapper = OpenVINOWrapper(str(result.work_dir / 'end2end.xml'))
    assert wrapper.output_names == ['scores', 'boxes']
    images = torch.randn(3, 3, 64, 96)
    batch = wrapper({'input': images})
    assert batch['boxes'].shape[0] == 3
    torch.testing.assert_close(wrapper({'input': images[2:]})['scores'][0], batch['scores'][2])
    with pytest.raises(ValueError, match='64'):
        wrapper({'input': torch.randn(1, 3, 64, 100)})


def test_nothing_detected_is_no_proof(tmp_path):
    cfg = detector_config('gfl', 2)
    cfg.model.test_cfg.score_thr = 1.0
    result = export('detection_openvino_static-320x320', cfg, tmp_path, (64, 64))
    assert not result.passed and result.problem.startswith('nothing was detected')
    assert all(c.empty and not c.passed and 'proves nothing' in c.detail for c in result.comparisons)
    report = json.loads((result.work_dir / 'parity.json').read_text())
    assert not report['passed'] and report['problem'] == result.problem
    assert {row['parity'] for row in read_table(result)} == {'empty'}


@pytest.mark.parametrize(
    'deploy_name, config, size',
    [
        ('detection_openvino_static-320x320', RTMDET, (96, 96)),
        ('detection-raw_openvino_static-320x320', RTMDET, (96, 96)),
        ('segmentation_openvino_static-512x1024', SEGMENTOR, (128, 64)),
        ('segmentation-raw_openvino_static-512x1024', SEGMENTOR, (97, 65)),
        ('segmentation_onnxruntime_static-512x1024', SEGMENTOR, (128, 64)),
        ('classification_openvino_static-224x224', CLASSIFIER, (64, 64)),
    ],
)
def test_stock_models(deploy_name, config, size, tmp_path, monkeypatch):
    deploy_name = (Path('configs/deploy') / f'{deploy_name}.py').resolve()
    (tmp_path / 'here').mkdir()
    monkeypatch.chdir(tmp_path / 'here')
    result = export(deploy_name, Config(config), tmp_path, size, fresh=True)
    assert result.passed, [c for c in result.comparisons if not c.passed]
    assert not list(Path().iterdir())
    for name in ('pytorch', 'exported'):
        assert cv2.imread(str(result.work_dir / f'{name}.jpg')) is not None
    if 'segmentation' in deploy_name.name and 'openvino' in deploy_name.name:
        model = openvino_core().read_model(result.work_dir / 'end2end.xml')
        assert list(model.outputs[0].shape[-2:]) == list(size[::-1])


@pytest.mark.parametrize('form', ['detection', 'detection-raw'])
def test_mmdeploys_own_calls(form, tmp_path):
    """What a user of mmdeploy writes; the raw form gets its NMS there."""
    cfg = detector_config('gfl', 3)
    result = export(f'{form}_openvino_static-320x320', cfg, tmp_path, (128, 96))
    deploy_cfg = load_config(f'configs/deploy/{form}_openvino_static-320x320.py')
    deploy_cfg.onnx_config.input_shape = [128, 96]
    processor = build_task_processor(cfg, deploy_cfg, 'cpu')
    backend = processor.build_backend_model([str(result.work_dir / 'end2end.xml')])
    model = processor.build_pytorch_model(str(tmp_path / 'random.pth'))
    data, _ = processor.create_input(str(tmp_path / 'image.png'), [128, 96])
    with torch.no_grad():
        (ours,), (theirs,) = backend.test_step(data), model.test_step(data)
    found, expected = ours.pred_instances, theirs.pred_instances
    assert len(found) == len(expected) > 10
    torch.testing.assert_close(found.scores, expected.scores, rtol=1e-3, atol=1e-5)
    best = expected.scores > expected.scores[20]
    torch.testing.assert_close(found.bboxes[best], expected.bboxes[best], rtol=1e-3, atol=0.1)


def test_fp16_weights_have_their_own_tolerance(tmp_path):
    cfg = detector_config('gfl', 2)
    deploy_cfg = load_config('configs/deploy/detection-raw_openvino_static-320x320.py')
    deploy_cfg.onnx_config.input_shape = [64, 64]
    deploy_cfg.backend_config.compress_to_fp16 = True
    checkpoint, image = save_random(cfg, tmp_path / 'random.pth'), save_image(tmp_path / 'image.png')
    result = deploy(deploy_cfg, cfg, 'test.py', checkpoint, image, tmp_path / 'export')
    worst = {backend: max(c.worst for c in result.comparisons if c.backend == backend and c.output == 'scores')
             for backend in ('onnxruntime', 'openvino')}  # fmt: skip
    assert result.passed and worst['openvino'] > worst['onnxruntime']
    size = (tmp_path / 'export' / 'end2end.bin').stat().st_size
    parameters = sum(np.prod(i.dims) for i in onnx.load(tmp_path / 'export' / 'end2end.onnx').graph.initializer)
    assert size < 3 * parameters


def test_a_wrong_export_is_noticed(tmp_path, monkeypatch):
    """Weights that change after the export: the report names the outputs, and nothing passes."""
    import lcnet_mm.deploy.comparison as module

    def spoil(*args):
        run = original(*args)
        return lambda image: {name: value + 0.01 for name, value in run(image).items()}

    original = module.open_file
    monkeypatch.setattr(module, 'open_file', spoil)
    result = export('detection-raw_openvino_static-320x320', detector_config('gfl', 2), tmp_path, (64, 64), fresh=True)
    report = json.loads((result.work_dir / 'parity.json').read_text())
    assert not result.passed and not report['passed']
    assert any(c['output'] == 'scores' and not c['passed'] and c['worst'] > 1 for c in report['comparisons'])


@pytest.mark.parametrize(
    'name, pytorch, allowed',
    [('coco/bbox_mAP', 0.5, 0.001), ('pascal_voc/mAP', 0.7, 0.001), ('mIoU', 60.0, 0.1), ('accuracy/top1', 90.0, 0.05)],
)
def test_drops_of_every_main_metric_are_limited(name, pytorch, allowed):
    def lost(drop):
        return drops(dict(pytorch={name: pytorch, 'other': 1.0}, exported={name: pytorch - drop}))

    assert lost(0.9 * allowed) == {} and lost(-1.0) == {}
    assert lost(1.1 * allowed) == {name: pytest.approx(1.1 * allowed)}
    # Nothing detected by the export alone.
    assert drops(dict(pytorch={name: pytorch}, exported={})) == {name: pytorch}


def test_drops_without_a_known_metric():
    assert drops({}) == {} and drops(dict(pytorch={}, exported={})) == {}
    assert drops(dict(pytorch={'mIoU': 60.0}, exported={'mIoU': 58.0}), argmax_first=True) == {}
    with pytest.raises(UserError, match='gives recall; to compare the accuracy it needs one of coco/bbox_mAP'):
        drops(dict(pytorch={'recall': 1.0}, exported={'recall': 1.0}))


def test_mistakes(tmp_path):
    cfg = detector_config('gfl', 2)
    checkpoint, image = save_random(cfg, tmp_path / 'random.pth'), save_image(tmp_path / 'image.png')
    deploy_cfg = load_config('configs/deploy/detection_openvino_static-320x320.py')
    other = load_config('configs/deploy/classification_openvino_static-224x224.py')
    target = tmp_path / 'export'
    with pytest.raises(UserError, match=r'mmpretrain.*mmdet'):
        deploy(other, cfg, 'c.py', checkpoint, image, target)
    with pytest.raises(UserError, match=r'none\.png'):
        deploy(deploy_cfg, cfg, 'c.py', checkpoint, tmp_path / 'none.png', target)
    (tmp_path / 'broken.png').write_bytes(b'no image')
    with pytest.raises(UserError, match=r'broken\.png'):
        deploy(deploy_cfg, cfg, 'c.py', checkpoint, tmp_path / 'broken.png', target)
    wide = detector_config('gfl', 3)
    with pytest.raises(UserError, match='made for another model'):
        deploy(deploy_cfg, wide, 'c.py', checkpoint, image, target)
    assert not target.exists()


SEGMENTORS = ('lcnet_0.5x', 'lcnet_1x', 'mobilenetv3_large_0.5x', 'mobilenetv3_large_0.75x')


@pytest.mark.parametrize('name', [*(f'{name}_cityscapes' for name in SEGMENTORS), 'lcnet_1x_cityscapes_lraspp'])
def test_segmentors_at_a_rectangle_that_no_stride_divides(name, tmp_path):
    cfg = load_config(f'configs/deeplabv3plus/{name}.py')
    result = export('segmentation_openvino_static-512x1024', cfg, tmp_path, (161, 97))
    assert result.passed, [c for c in result.comparisons if not c.passed]
    graph = onnx.load(result.work_dir / 'end2end.onnx').graph
    ops = Counter(node.op_type for node in graph.node)
    # The pooled feature, the decoder's input (LR-ASPP has two), and the logits, once.
    assert ops['Resize'] == (4 if 'lraspp' in name else 3) and ops['ArgMax'] == ops['TopK'] == 0
    model = openvino_core().read_model(result.work_dir / 'end2end.xml')
    assert list(model.outputs[0].shape) == [1, 1, 97, 161]
    description = json.loads((result.work_dir / 'model.json').read_text())
    assert description['classes'][13] == 'car' and description['palette'][13] == [0, 0, 142]


def test_argmax_before_or_behind_the_resize(tmp_path):
    cfg = load_config('configs/deeplabv3plus/lcnet_0.5x_cityscapes.py')
    deploy_cfg = load_config('configs/deploy/segmentation_openvino_static-512x1024.py')
    deploy_cfg.onnx_config.input_shape = [160, 96]
    deploy_cfg.codebase_config.argmax_first = True
    checkpoint, image = save_random(cfg, tmp_path / 'random.pth'), save_image(tmp_path / 'image.png')
    result = deploy(deploy_cfg, cfg, 'test.py', checkpoint, image, tmp_path / 'first')
    assert result.passed, [c for c in result.comparisons if not c.passed]
    graph = onnx.load(tmp_path / 'first' / 'end2end.onnx').graph
    (last,) = (node for node in list(graph.node)[-3:] if node.op_type == 'Resize')
    assert {a.name: a.s for a in last.attribute}['mode'] == b'nearest'
    run = OpenVINOWrapper(str(tmp_path / 'first' / 'end2end.xml'), ['output'])
    classes = run({'input': torch.randn(1, 3, 96, 160)})['output']
    # Blocks of four by four, the head's resolution.
    assert torch.equal(classes, classes[..., ::4, ::4].repeat_interleave(4, 2).repeat_interleave(4, 3))


def test_first_argmax_is_argmax():
    from lcnet_mm.deploy.rewriters import first_argmax

    logits = torch.randint(-3, 3, (2, 19, 11, 13), generator=torch.Generator().manual_seed(0)).float()
    expected = torch.from_numpy(logits.numpy().argmax(1, keepdims=True))
    assert torch.equal(first_argmax(logits), expected)


def test_one_image_is_compared(tmp_path):
    cfg = detector_config('gfl', 2)
    deploy_cfg = load_config('configs/deploy/detection-raw_openvino_static-320x320.py')
    deploy_cfg.onnx_config.input_shape = [64, 64]
    checkpoint, folder = save_random(cfg, tmp_path / 'random.pth'), tmp_path / 'images'
    folder.mkdir()
    image = save_image(folder / 'b.png')
    assert deploy(deploy_cfg, cfg, 'c.py', checkpoint, folder, tmp_path / 'one').passed
    shutil.copy(image, folder / 'a.png')
    with pytest.raises(UserError, match=r'compared on one image, and the folder .*images has 2; name one.*a\.png'):
        deploy(deploy_cfg, cfg, 'c.py', checkpoint, folder, tmp_path / 'two')
    assert not (tmp_path / 'two').exists()


@pytest.mark.parametrize('size', [(96, 96), (128, 96)])
def test_another_input_size_of_a_classifier(size, tmp_path):
    """It changes the network's input and what happens to images before, not the description alone."""
    result = export('classification_openvino_static-224x224', Config(CLASSIFIER), tmp_path, size)
    assert result.passed
    width, height = size
    for file in ('end2end.onnx', 'end2end.xml'):
        (entry,) = openvino_core().read_model(result.work_dir / file).inputs
        assert list(entry.shape) == [1, 3, height, width]
    described = json.loads((result.work_dir / 'model.json').read_text())['input']
    # The test pipeline resizes the short edge to 72 and crops 64.
    edge = round(72 * max(size) / 64)
    assert described['size'] == list(size)
    assert [step['size'] for step in described['steps']] == [edge, list(size)]
    probabilities = Classifier(result.work_dir)(tmp_path / 'image.png')
    model = build_model(Config(CLASSIFIER)).eval()
    load_weights(model, tmp_path / 'random.pth')
    image = cv2.imread(str(tmp_path / 'image.png'))
    scale = edge / min(image.shape[:2])
    resized = cv2.resize(image, (int(image.shape[1] * scale), edge))
    top, left = round((edge - height) / 2), round((resized.shape[1] - width) / 2)
    crop = torch.from_numpy(resized[top : top + height, left : left + width]).permute(2, 0, 1)
    with torch.no_grad():
        expected = model(**model.data_preprocessor(dict(inputs=crop[None])), mode='tensor').softmax(1)[0]
    np.testing.assert_allclose(probabilities, expected, atol=1e-4)


@pytest.mark.parametrize(
    'deploy_name, config, size',
    [
        ('segmentation_openvino_static-512x1024', SEGMENTOR, (128, 64)),
        ('classification_openvino_static-224x224', CLASSIFIER, (64, 64)),
        ('detection_openvino_static-320x320', RTMDET, (96, 96)),
    ],
)
def test_mmdeploys_visualize_writes_the_file_that_it_is_given(deploy_name, config, size, tmp_path, monkeypatch):
    result = export(Path('configs/deploy', deploy_name).resolve(), Config(config), tmp_path, size)
    deploy_cfg = load_config(f'configs/deploy/{deploy_name}.py')
    deploy_cfg.onnx_config.input_shape = list(size)
    processor = build_task_processor(Config(config), deploy_cfg, 'cpu')
    model = processor.build_backend_model([str(result.work_dir / 'end2end.xml')])
    data, _ = processor.create_input(str(tmp_path / 'image.png'), list(size))
    (tmp_path / 'here').mkdir()
    monkeypatch.chdir(tmp_path / 'here')
    with torch.no_grad():
        (sample,) = model.test_step(data)
    target = tmp_path / 'drawings' / 'drawing.png'
    processor.visualize(image=str(tmp_path / 'image.png'), result=sample, output_file=str(target), window_name='w')
    assert cv2.imread(str(target)) is not None
    assert not list(Path().iterdir())
