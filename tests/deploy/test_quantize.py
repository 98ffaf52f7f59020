"""INT8 of a small classifier that is trained here, in seconds."""

import json
import re
import runpy
import shutil
import subprocess
import sys
from collections.abc import Iterator
from copy import deepcopy
from itertools import pairwise
from pathlib import Path
from unittest import mock

import cv2
import numpy as np
import openvino
import pytest
import torch
from deploy_cases import CLASSIFIER, SEGMENTOR, detector_config, export
from mmengine.config import Config

from lcnet_mm.apis import load_config
from lcnet_mm.demos.digits import load_scans, split_scans
from lcnet_mm.deploy import accuracy_control
from lcnet_mm.deploy.accuracy_control import Quantization, check_int8, quantize_export
from lcnet_mm.deploy.calibration import calibration_arrays, find_calibration, spread
from lcnet_mm.deploy.evaluation import evaluate, use_annotations
from lcnet_mm.deploy.export import build_processor, deploy
from lcnet_mm.deploy.quantize import CONVOLUTIONS, STEPS, float_layers, is_layer, quantize
from lcnet_mm.runtime import Classifier, load_model
from lcnet_mm.utils.errors import UserError
from lcnet_mm.utils.models import build_model
from lcnet_mm.utils.openvino import COMPILE_OPTIONS, openvino_core

ROOT = Path(__file__).parents[2]
SIDE = 64
LOAD, PACK = dict(type='LoadImageFromFile'), dict(type='PackInputs')


def write_digits(folder: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Write scikit-learn's digits as one folder per class; returns RGB images and labels of each split."""
    scans, labels = load_scans()
    splits = {}
    for split, indices in split_scans(labels).items():
        images = []
        for index in indices:
            image = cv2.resize(np.uint8(255 * scans[index]), (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
            images.append(np.repeat(image[..., None], 3, 2))
            target = folder / split / str(labels[index])
            target.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(target / f'{index}.png'), images[-1])
        splits[split] = np.stack(images), labels[indices]
    return splits


def digit_config(folder: Path) -> Config:
    """A classifier of ten digits, with its test data."""
    pipeline = [LOAD, PACK]
    cfg = Config(CLASSIFIER)
    cfg.data_preprocessor.num_classes = cfg.model.head.num_classes = 10
    cfg.merge_from_dict(
        dict(
            test_pipeline=pipeline,
            test_dataloader=dict(
                batch_size=32,
                num_workers=0,
                sampler=dict(type='DefaultSampler', shuffle=False),
                dataset=dict(type='CustomDataset', data_root=str(folder), data_prefix='val', pipeline=pipeline),
            ),
            test_evaluator=dict(type='Accuracy', topk=(1,)),
            test_cfg=dict(),
        )
    )
    cfg.test_pipeline = pipeline
    return cfg


def train_digits(cfg: Config, arrays: np.ndarray, labels: np.ndarray, checkpoint: Path, epochs: int = 8) -> None:
    """Train a few epochs and save the checkpoint."""
    threads = torch.get_num_threads()
    torch.manual_seed(0)
    model = build_model(cfg)
    model.init_weights()
    mean, std = (torch.tensor(cfg.data_preprocessor[key]).reshape(3, 1, 1) for key in ('mean', 'std'))
    images = (torch.from_numpy(arrays).permute(0, 3, 1, 2).float() - mean) / std
    targets = torch.from_numpy(labels)
    steps = epochs * (len(images) // 32)
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 5e-3, total_steps=steps)
    model.train()
    # Two threads would wait for each other more than they compute, above all where other processes run.
    torch.set_num_threads(1)
    for _ in range(epochs):
        for batch in torch.randperm(len(images))[: len(images) // 32 * 32].reshape(-1, 32):
            loss = torch.nn.functional.cross_entropy(model(images[batch], mode='tensor'), targets[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    torch.set_num_threads(threads)
    torch.save(dict(state_dict=model.state_dict(), meta={}), checkpoint)


class Trained:
    """The trained classifier, its config and its export.

    Attributes:
        folder: Has the images in ``train`` and ``val``, ``digits.pth`` and ``export``.
        cfg: The model's config.
        deploy_cfg: The deploy config.
        image: One of the images.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.cfg = folder, digit_config(folder)
        splits = write_digits(folder)
        train_digits(self.cfg, *splits['train'], folder / 'digits.pth')
        self.deploy_cfg = load_config('configs/deploy/classification_openvino_static-224x224.py')
        self.deploy_cfg.onnx_config.input_shape = [SIDE, SIDE]
        self.image = next((folder / 'val' / '3').iterdir())
        deploy(self.deploy_cfg, self.cfg, 'digits.py', folder / 'digits.pth', self.image, folder / 'export')

    def quantize(self, name: str, max_drop: float | None = None, images: str | Path = 'train') -> Quantization:
        found = check_int8(self.deploy_cfg, self.cfg, self.folder / images, max_drop)
        arguments = (self.folder / 'digits.pth', self.image, self.folder / name, found, max_drop)
        return quantize_export(self.deploy_cfg, self.cfg, *arguments)


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    return Trained(tmp_path_factory.mktemp('digits'))


@pytest.fixture(scope='module')
def quantized(trained):
    return trained.quantize('export')


def test_int8_is_kept_within_the_limit(trained, quantized):
    export = trained.folder / 'export'
    assert quantized.kept and quantized.metric == 'accuracy/top1' and quantized.max_drop == 1.0
    float32, float16, int8 = quantized.variants
    assert float32.accuracy > 90 and [v.name for v in quantized.variants] == ['FP32', 'FP16', 'INT8']
    assert int8.drop == pytest.approx(float32.accuracy - int8.accuracy) and int8.drop <= 1.0
    assert abs(float16.drop) <= 0.3 and int8.layers == 'all layers' and quantized.rejected == []
    assert float16.bytes < 0.51 * float32.bytes and int8.bytes < 0.4 * float32.bytes
    assert int8.bytes == (export / 'end2end_int8.bin').stat().st_size
    assert float32.bytes == (export / 'end2end.bin').stat().st_size
    assert all(v.milliseconds > 0 for v in quantized.variants)
    report = json.loads((export / 'quantization.json').read_text())
    assert report['variants'][2]['drop'] == int8.drop and report['images'] == 300
    assert report['machine']['versions']['nncf'] and report['input_shape'] == [1, 3, SIDE, SIDE]
    description = json.loads((export / 'model.json').read_text())
    assert description['model'] == 'end2end.xml' and description['int8'] == 'end2end_int8.xml'
    assert description['files']['end2end_int8.bin'] == int8.bytes
    assert not list(export.glob('.partial*'))
    table = quantized.format_table()
    assert re.search(rf'INT8 +{int8.accuracy:.2f} +{int8.drop:.2f}', table) and 'OpenVINO' in table


def test_weights_and_activations_are_eight_bits(trained, quantized):
    model = openvino_core().read_model(trained.folder / 'export' / 'end2end_int8.xml')
    assert model.get_rt_info(['model_info', 'model_type']).value == 'Classification'
    layers = [op for op in model.get_ops() if op.get_type_name() in (*CONVOLUTIONS, 'MatMul')]
    # The stem, thirteen blocks of two, two gates of two, and the fully connected layer.
    assert len(layers) == 1 + 26 + 4 + 1
    for layer in layers:
        assert input_kinds(layer) == {'FakeQuantize'}, layer.get_friendly_name()
        assert 'i8' in {op.get_element_type().get_type_name() for op in ancestors(layer.input_value(1).get_node())}
    (softmax,) = (op for op in model.get_ops() if op.get_type_name() == 'Softmax')
    assert input_kinds(softmax) == {'Add'}


# They move eight bits as they are.
MOVES = ('Concat', 'Interpolate', 'MaxPool', 'Reshape', 'Squeeze', 'Transpose', 'VariadicSplit')


def input_kinds(op: openvino.Node) -> set[str]:
    """Types of the ops that make an op's first input, after all that only move it."""
    source = op.input_value(0).get_node()
    if source.get_type_name() not in MOVES:
        return {source.get_type_name()}
    parts = [value.get_node() for value in source.input_values()] if source.get_type_name() == 'Concat' else []
    moved = [part for part in parts if part.get_type_name() in MOVES]
    kinds = {part.get_type_name() for part in parts if part not in moved}
    return kinds.union(*(input_kinds(part) for part in moved)) if parts else input_kinds(source)


def ancestors(op: openvino.Node) -> list[openvino.Node]:
    """An op and all that it is computed from."""
    found = {op.get_friendly_name(): op}
    waiting = [op]
    while waiting:
        for source in (value.get_node() for value in waiting.pop().input_values()):
            if source.get_friendly_name() not in found:
                found[source.get_friendly_name()] = source
                waiting.append(source)
    return list(found.values())


def test_runtime_runs_int8(trained, quantized):
    export = trained.folder / 'export'
    images = sorted((trained.folder / 'val').rglob('*.png'))[::3]
    float32, int8 = load_model(export, threads=1), load_model(export, threads=1, int8=True)
    types = [{op.get_type_name() for op in model.model.get_ops()} for model in (float32, int8)]
    assert ['FakeQuantize' in kinds for kinds in types] == [False, True]
    expected, found = np.stack(float32(images)), np.stack(int8(images))
    assert (expected.argmax(1) == found.argmax(1)).mean() >= 0.97
    assert 1e-5 < np.abs(expected - found).mean() < 0.03
    # By its file, too.
    np.testing.assert_array_equal(Classifier(export / 'end2end_int8.xml', threads=1)(images[0]), found[0])
    np.testing.assert_array_equal(Classifier(export / 'end2end.xml', threads=1)(images[0]), expected[0])


def test_runtime_command_line_and_what_is_not_there(trained, quantized, tmp_path):
    export = shutil.copytree(trained.folder / 'export', tmp_path / 'export')
    command = [sys.executable, '-m', 'lcnet_mm.runtime', export, trained.image, '--out', tmp_path / 'out', '--int8']
    assert subprocess.run(list(map(str, command)), cwd=ROOT, timeout=300).returncode == 0
    (done,) = json.loads((tmp_path / 'out' / 'predictions.json').read_text())['images']
    expected = load_model(export, int8=True)(trained.image)
    assert done['top'][0]['label'] == int(expected.argmax())
    shutil.copy(export / 'end2end.xml', export / 'other.xml')
    with pytest.raises(UserError, match=r'other\.xml is not a model'):
        load_model(export / 'other.xml')
    with pytest.raises(UserError, match=r'end2end\.xml is not the INT8 model'):
        load_model(export / 'end2end.xml', int8=True)
    (export / 'end2end_int8.bin').write_bytes(b'')
    with pytest.raises(UserError, match=r'end2end_int8\.bin has 0 bytes'):
        load_model(export, int8=True)
    # The float model needs nothing of it.
    load_model(export)


def lose(monkeypatch, *losses: float) -> Iterator[float]:
    """Let the evaluations lose these points of top-1, one after the other; returns those that are left."""
    left = iter(losses)
    monkeypatch.setattr(accuracy_control, 'evaluate', lambda *_: {'accuracy/top1': 95.0 - next(left)})
    return left


def run_deploy(trained: Trained, target: Path, *options: object) -> object:
    """Run ``tools/deploy.py`` in this process, where evaluations can be replaced; returns its exit code."""
    config, deploy_config = trained.folder / 'digits.py', trained.folder / 'deploy.py'
    trained.cfg.dump(config)
    trained.deploy_cfg.dump(deploy_config)
    arguments = [deploy_config, config, trained.folder / 'digits.pth', trained.image, '--work-dir', target, *options]
    with mock.patch('sys.argv', ['deploy.py', *map(str, arguments)]), pytest.raises(SystemExit) as stop:
        runpy.run_path(str(ROOT / 'tools' / 'deploy.py'), run_name='__main__')
    return stop.value.code


def test_float32_is_kept_when_the_limit_cannot_be_held(trained, monkeypatch, capsys, tmp_path):
    """FP32, FP16, and five INT8 that all lose too much."""
    export, calib = trained.folder / 'refused', tmp_path
    for image in list(trained.image.parent.iterdir())[:4]:
        shutil.copy(image, calib)
    left = lose(monkeypatch, 0.0, 0.0, 3.0, 2.0, 3.0, 3.0, 3.0)
    # What is decided here depends on the losses alone, and each quantization takes seconds.
    monkeypatch.setattr(accuracy_control, 'quantize', lambda model, *_: model.clone())
    assert run_deploy(trained, export, '--int8', '--calib', calib) == 1
    assert next(left, None) is None
    output = capsys.readouterr()
    (line,) = (line for line in output.err.splitlines() if line.startswith('error: '))
    assert '2.00 points of accuracy/top1' in line and '1 are allowed: FP32 is kept' in line
    assert output.out.count('was rejected: it loses 3.00 points') == 4
    report = json.loads((export / 'quantization.json').read_text())
    assert not report['kept'] and report['variants'][2]['layers'] == STEPS[1].name
    assert [variant['drop'] for variant in report['rejected']] == [3.0] * 4
    names = {path.name for path in export.iterdir()}
    assert {'end2end.xml', 'model.json', 'quantization.json'} <= names and not any('int8' in name for name in names)
    assert 'int8' not in json.loads((export / 'model.json').read_text())
    with pytest.raises(UserError, match='has no INT8 model'):
        load_model(export, int8=True)
    load_model(export)

    # With a wider limit the second step holds it; the float model is what it was.
    before = (export / 'end2end.bin').read_bytes()
    lose(monkeypatch, 0.0, 0.0, 3.0, 2.0)
    result = trained.quantize('refused', 2.0, calib)
    assert result.kept and result.variants[-1].layers == STEPS[1].name and len(result.rejected) == 1
    assert load_model(export, int8=True).classes == load_model(export).classes
    assert (export / 'end2end.bin').read_bytes() == before

    # A new export into the folder does not keep the INT8 model of the old one.
    assert run_deploy(trained, export) == 0
    assert {path.name for path in export.iterdir()} == names - {'quantization.json'}


def test_nothing_is_half_written_when_it_fails(trained, monkeypatch):
    export = shutil.copytree(trained.folder / 'export', trained.folder / 'failing')
    before = {path.name: path.read_bytes() for path in export.iterdir()}
    monkeypatch.setattr(accuracy_control, 'evaluate', lambda *_: {'recall': 1.0})
    with pytest.raises(UserError, match='gives recall; INT8 needs one of coco/bbox_mAP'):
        trained.quantize('failing', images='val/3')

    def fail(*_):
        raise RuntimeError('no statistics')

    lose(monkeypatch, 0.0, 0.0)
    monkeypatch.setattr(accuracy_control, 'quantize', fail)
    with pytest.raises(UserError, match='NNCF cannot quantize the model: RuntimeError: no statistics'):
        trained.quantize('failing', images='val/3')
    assert {path.name: path.read_bytes() for path in export.iterdir()} == before


def test_wrapped_test_data_are_evaluated(trained):
    """At the size of the export, whatever wraps the data set."""
    wrapped = deepcopy(trained.cfg)
    dataset = wrapped.test_dataloader.dataset
    # The resize that the export needs must reach the inner pipeline: images of 80 pixels do not fit the static model.
    enlarge = [LOAD, dict(type='Resize', scale=(80, 80)), PACK]
    inner = dict(type='RepeatDataset', times=2, dataset={**dataset, 'pipeline': enlarge})
    wrapped.test_dataloader.dataset = dict(type='ConcatDataset', datasets=[inner])
    checkpoint, file = trained.folder / 'digits.pth', trained.folder / 'export' / 'end2end.xml'
    plain = evaluate(build_processor(trained.deploy_cfg, trained.cfg), checkpoint, file)
    processor = build_processor(trained.deploy_cfg, wrapped)
    assert evaluate(processor, checkpoint, file) == pytest.approx(plain, abs=0.01) and plain['accuracy/top1'] > 90
    assert evaluate(processor, checkpoint) == pytest.approx(plain, abs=0.3)
    assert wrapped.test_dataloader.dataset.datasets[0].dataset.pipeline[1].scale == (80, 80)


def test_another_annotation_file(trained):
    cfg = deepcopy(trained.cfg)
    cfg.test_dataloader.dataset = dict(type='RepeatDataset', times=1, dataset=cfg.test_dataloader.dataset)
    use_annotations(cfg, 'mine.txt')
    assert cfg.test_dataloader.dataset.dataset.ann_file == cfg.test_evaluator.ann_file == 'mine.txt'
    cfg.test_dataloader.dataset = dict(type='ConcatDataset', datasets=[cfg.test_dataloader.dataset] * 2)
    with pytest.raises(UserError, match=r'mine\.txt needs a config with one test data set, and it has 2'):
        use_annotations(cfg, 'mine.txt')
    cfg.pop('test_evaluator')
    with pytest.raises(UserError, match=r'mine\.txt needs a config with test_dataloader and test_evaluator'):
        use_annotations(cfg, 'mine.txt')


@pytest.mark.parametrize(
    'form, config',
    [
        ('detection_openvino_static-320x320', 'gfl'),
        pytest.param('detection-raw_openvino_static-320x320', 'aligned', marks=pytest.mark.slow),
        ('segmentation_openvino_static-512x1024', SEGMENTOR),
    ],
)
def test_what_follows_the_last_layers_stays_in_float32(form, config, tmp_path):
    """Distributions, coordinates, NMS, resize and argmax, of nets that are not trained."""
    cfg = detector_config(config, 3) if isinstance(config, str) else Config(config)
    folder = export(form, cfg, tmp_path, (128, 96)).work_dir
    model = openvino_core().read_model(folder / 'end2end.xml')
    arrays = list(np.random.default_rng(0).normal(size=(2, 1, 3, 96, 128)).astype(np.float32))
    quantized = quantize(model.clone(), STEPS[0], arrays)
    convolutions = [op for op in quantized.get_ops() if op.get_type_name() in CONVOLUTIONS]
    assert {kind for op in convolutions for kind in input_kinds(op)} == {'FakeQuantize'}
    needed = {op.get_friendly_name() for last in convolutions for op in ancestors(last)}
    quantizers = {op.get_friendly_name() for op in quantized.get_ops() if op.get_type_name() == 'FakeQuantize'}
    assert quantizers and quantizers <= needed
    outputs = openvino_core().compile_model(quantized, 'CPU', COMPILE_OPTIONS)(arrays[0])
    assert all(np.isfinite(output).all() for output in outputs.values())


@pytest.mark.parametrize('step', STEPS, ids=lambda step: step.name)
def test_steps(step, trained):
    model = openvino_core().read_model(trained.folder / 'export' / 'end2end.xml')
    names = {op.get_friendly_name() for op in model.get_ops() if is_layer(op)} - set(float_layers(model, step))
    depthwise, gates = ([n for n in names if re.search(pattern, n)] for pattern in ('dw_conv', '/se/'))
    assert len(depthwise) == (13 if step.depthwise else 0)
    assert len(gates) == (4 if step.squeeze_excitation else 0)
    ends = [n for n in names if re.search(r'backbone/conv1/|/fc/', n)]
    assert len(ends) == (2 if step.ends else 0)
    assert len(names) == 13 + len(depthwise) + len(gates) + len(ends)
    (softmax,) = (op for op in model.get_ops() if op.get_type_name() == 'Softmax')
    assert softmax.get_friendly_name() in float_layers(model, step)


def test_vectors_of_constants_are_no_layers():
    """GFL's distribution times 0, 1, …, 7 is a product with a constant, but coordinates need more than eight bits."""
    image = openvino.opset14.parameter([1, 4, 8], np.float32)
    for shape, expected in (((8,), False), ((8, 1), False), ((8, 3), True)):
        product = openvino.opset14.matmul(image, np.ones(shape, np.float32), False, False)
        assert is_layer(product) == expected


def test_calibration_images(trained, tmp_path):
    cfg = trained.cfg
    found = find_calibration(trained.folder / 'train', cfg)
    every = sorted((trained.folder / 'train').rglob('*.png'))
    assert len(found) == len(set(found)) == 300 and found[0] == every[0] and found[-1] == every[-1]
    assert max(every.index(b) - every.index(a) for a, b in pairwise(found)) <= -(-len(every) // 300)
    # COCO's layout: the file in annotations/, the images in a folder that the config names, or beside the file.
    names = [str(path.relative_to(trained.folder / 'val')) for path in (trained.folder / 'val').rglob('*.png')]
    ann_file = trained.folder / 'val.json'
    ann_file.write_text(json.dumps(dict(images=[dict(file_name=name) for name in names])))
    assert find_calibration(ann_file, cfg) == [trained.folder / 'val' / name for name in spread(names)]
    # Of several data sets with the same names of images, the one that uses the file.
    shutil.copytree(trained.folder / 'val', tmp_path / 'same')
    several = cfg.copy()
    several.train_dataloader = dict(dataset=dict(data_prefix=str(trained.folder / 'val')))
    several.val_dataloader = dict(dataset=dict(ann_file=str(ann_file), data_prefix=str(tmp_path / 'same')))
    assert {path.parents[1] for path in find_calibration(ann_file, several)} == {tmp_path / 'same'}
    shutil.copy(trained.image, tmp_path / 'one.png')
    (tmp_path / 'some.json').write_text('{"images": [{"file_name": "one.png"}]}')
    assert find_calibration(tmp_path / 'some.json', cfg) == [tmp_path / 'one.png']


def test_calibration_sees_what_the_network_sees(trained):
    processor = build_processor(trained.deploy_cfg, trained.cfg)
    preprocessor = processor.build_pytorch_model(None).data_preprocessor
    (array,) = calibration_arrays(processor, preprocessor, [trained.image])
    mean, std = (np.array(trained.cfg.data_preprocessor[key], np.float32) for key in ('mean', 'std'))
    expected = ((cv2.imread(str(trained.image))[..., ::-1] - mean) / std).transpose(2, 0, 1)[None]
    assert array.dtype == np.float32
    np.testing.assert_allclose(array, expected, atol=1e-5)


def test_mistakes(trained, tmp_path):
    cfg, deploy_cfg = trained.cfg, trained.deploy_cfg

    def check(words: str, calib: Path = trained.folder / 'val', max_drop: float | None = None, cfg: Config = cfg):
        with pytest.raises(UserError, match=words):
            check_int8(deploy_cfg, cfg, calib, max_drop)

    (tmp_path / 'empty').mkdir()
    check('empty has no image', tmp_path / 'empty')
    check('none does not exist', tmp_path / 'none')
    broken = tmp_path / 'broken'
    broken.mkdir()
    (broken / 'a.jpg').write_bytes(b'no image')
    check(r'a\.jpg.*cannot be decoded', broken)
    (tmp_path / 'list.txt').write_text('a.jpg')
    check(r'list\.txt is neither', tmp_path / 'list.txt')
    for content in ('', '[]', '{"annotations": []}', '{"images": [{"id": 1}]}', '{"images": [1]}', '{"images": [{'):
        (tmp_path / 'coco.json').write_text(content)
        check(r'coco\.json is not a COCO annotation file', tmp_path / 'coco.json')
    (tmp_path / 'coco.json').write_text('{"images": []}')
    check('lists no image', tmp_path / 'coco.json')
    (tmp_path / 'coco.json').write_text('{"images": [{"file_name": "none.jpg"}]}')
    check(r'none\.jpg is in none of .*val', tmp_path / 'coco.json')
    (tmp_path / 'coco.json').write_text('{"images": [{"file_name": "broken/a.jpg"}, {"file_name": "b.jpg"}]}')
    check(r'b\.jpg is missing in', tmp_path / 'coco.json')
    for wrong in (-0.1, float('nan'), float('inf')):
        check('max_drop must be at least 0', max_drop=wrong)
    for key in ('test_dataloader', 'test_evaluator'):
        without = Config({name: value for name, value in cfg.items() if name != key})
        check(f'has no {key}', cfg=without)
    elsewhere = deepcopy(cfg)
    elsewhere.test_dataloader.dataset.data_root = str(tmp_path / 'nowhere')
    check('test data: .* is missing', cfg=elsewhere)
    deploy_cfg = load_config('configs/deploy/classification_onnxruntime_static-224x224.py')
    check('for openvino, this one is for onnxruntime')
