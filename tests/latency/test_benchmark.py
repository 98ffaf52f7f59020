"""The latency laboratory: conversions compute the same, counts are right, reports are complete."""

import csv
import json
import re
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import openvino
import pytest
import torch
from torch import nn

from lcnet_mm.apis import load_config
from lcnet_mm.latency.benchmark import Settings, compare_with_paper, run_benchmark
from lcnet_mm.latency.complexity import measure
from lcnet_mm.latency.doctor import PARTS, advise, format_report
from lcnet_mm.latency.layers import FINAL_STAGE, Layer, Roofline, measure_roofline, profile_layers, stage_shares
from lcnet_mm.latency.networks import export_network, load_networks
from lcnet_mm.latency.stages import realistic_scores, suppression
from lcnet_mm.latency.suites import SUITES, Entry, build_suite
from lcnet_mm.latency.timing import CONTROL, compile_network, control_difference, time_networks
from lcnet_mm.utils.errors import UserError
from lcnet_mm.utils.machine import describe_machine, physical_cores
from lcnet_mm.utils.models import build_model
from lcnet_mm.utils.openvino import compile_for_timing, openvino_core
from lcnet_mm.utils.timing import Latency, time_in_turn

DETECTOR = 'configs/picodet_like/picodet_xs_320_coco.py'
SEGMENTOR = 'configs/deeplabv3plus/lcnet_0.5x_cityscapes.py'


@pytest.fixture(scope='module')
def networks(tmp_path_factory):
    """A detector and a segmentor at 96x160."""
    torch.manual_seed(0)
    return load_networks([DETECTOR, SEGMENTOR], tmp_path_factory.mktemp('networks'), (96, 160))


def test_backends_compute_what_pytorch_does(networks):
    for network in networks:
        image = np.random.default_rng(0).normal(size=network.input_shape).astype(np.float32)
        with torch.no_grad():
            expected = network.module(torch.from_numpy(image))
        expected = expected if isinstance(expected, tuple) else (expected,)
        compiled = openvino_core().compile_model(
            openvino.convert_model(str(network.file)), 'CPU', {'INFERENCE_PRECISION_HINT': 'f32'}
        )
        session = onnxruntime.InferenceSession(str(network.file), providers=['CPUExecutionProvider'])
        for outputs in (list(compiled([image]).values()), session.run(None, {session.get_inputs()[0].name: image})):
            for ours, theirs in zip(outputs, expected, strict=True):
                if theirs.dtype == torch.long:
                    assert (ours == theirs.numpy()).mean() >= 0.999
                else:
                    np.testing.assert_allclose(ours / 160, theirs.numpy() / 160, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize('backend', ['openvino', 'onnxruntime', 'torch'])
def test_all_backends_are_timed_with_a_control(networks, backend):
    before = torch.get_num_threads()
    try:
        results = time_networks(networks, backend=backend, threads=1, rounds=3, warmup=1)
    finally:
        torch.set_num_threads(before)
    assert list(results) == [DETECTOR, SEGMENTOR, CONTROL]
    assert all(len(latency.seconds) == 3 and min(latency.seconds) > 0 for latency in results.values())


def test_calls_are_in_turn_and_the_warm_up_does_not_count():
    order = []
    results = time_in_turn({name: lambda name=name: order.append(name) for name in 'abc'}, rounds=2, warmup=1)
    assert ''.join(order) == 'aabbccaabbccaabbcc' and all(len(latency.seconds) == 2 for latency in results.values())


def test_control_and_figures():
    results = {'a': Latency([1.0, 1.0, 9.0]), CONTROL: Latency([1.1, 1.1, 1.1])}
    assert control_difference(results) == pytest.approx(0.1)
    assert results['a'].to_dict()['median'] == 1000 and results['a'].to_dict()['minimum'] == 1000
    assert Latency([0.002]).to_dict()['p90'] == 2


def test_layers_have_the_work_of_the_model(networks):
    for network in networks:
        layers = profile_layers(network, threads=1, rounds=2)
        # 321 points have four distances of eight bins, products with 0 to 7 that belong to no module.
        integrals = 321 * 32 if network.name == DETECTOR else 0
        counted = measure(network.module, network.input_shape[1:]).total.macs
        assert sum(layer.macs for layer in layers) == counted + integrals
        convolution = next(layer for layer in layers if layer.name == 'backbone/conv1/conv/Conv')
        # 3x3x3 weights for 8 channels of the XS and the 0.5x, at half the size.
        assert convolution.macs == 27 * 8 * 48 * 80 and convolution.kind == 'Convolution'
        assert convolution.bytes == 4 * (3 * 96 * 160 + 8 * 48 * 80 + 27 * 8)
        assert convolution.gflops == pytest.approx(2e-9 * convolution.macs / convolution.seconds)


def test_layers_of_a_classifier_have_its_work(tmp_path):
    (network,) = load_networks(['configs/imagenet/pplcnet_0.25x_in1k.py'], tmp_path, (64, 64))
    layers = profile_layers(network, threads=1, rounds=2)
    # The biases of the squeeze-and-excitation and of the classifier are no multiply-adds.
    assert sum(layer.macs for layer in layers) == measure(network.module, (3, 64, 64)).total.macs
    assert [layer.macs for layer in layers if layer.kind == 'FullyConnected'] == [1280 * 1000]


def test_stages_of_a_segmentor_add_up(networks):
    layers = profile_layers(networks[1], threads=1, rounds=2)
    shares = stage_shares(layers)
    assert list(shares) == ['backbone', 'ASPP', 'decoder', FINAL_STAGE]
    assert sum(shares.values()) == pytest.approx(1) and min(shares.values()) > 0.01
    by_hand = [layer for layer in layers if layer.name.startswith('decode_head/sep_bottleneck')]
    assert shares['decoder'] >= sum(layer.seconds for layer in by_hand) / sum(layer.seconds for layer in layers)


def test_roofline():
    roofline = Roofline(100.0, {2**10: 40.0, 2**20: 10.0})
    arithmetic = Layer('a', '', '', 1e-3, 50_000_000, 1000)
    memory = Layer('b', '', '', 1e-3, 0, 2**20)
    assert roofline.seconds(arithmetic) == pytest.approx(1e-3)
    assert roofline.seconds(memory) == pytest.approx(2**20 * 1e-9 / 10)
    assert roofline.gigabytes(2**15) == pytest.approx(25)
    assert roofline.gigabytes(2**30) == 10 and roofline.gigabytes(1) == 40
    measured = measure_roofline(1, rounds=2)
    assert measured.gflops > 1 and min(measured.bandwidth.values()) > 0.1


def test_realistic_scores_are_neither_all_nor_nothing():
    scores, boxes = realistic_scores(2125, 80, np.random.default_rng(0))
    assert scores.shape == (2125, 80) and boxes.shape == (2125, 4)
    share = (scores > 0.025).any(1).mean()
    assert 0.05 < share < 0.3 and scores.max() < 1
    found = suppression(2125)()
    assert 8 <= len(found.scores) <= 100


# Multiply-adds of the paper's tables are counted elsewhere; here only that a suite holds what it names.
@pytest.mark.parametrize('name', ['paper-ablations', 'paper-detection'])
def test_suites_build(name, tmp_path):
    networks = build_suite(name, tmp_path)
    assert [network.name for network in networks] == [entry.name for entry in SUITES[name]()]
    for network in networks:
        with torch.no_grad():
            assert network.module(torch.zeros(network.input_shape)) is not None


# Parameters of the original (docs/specification/pplcnet.md#sizes, docs/specification/pplcnet.md#ablations).
ABLATIONS = {
    'PP-LCNet-0.5x': 1_879_576, 'SE 1100000000000': 1_838_326, 'SE 0000001100000': 1_854_840,
    'SE 1111111111111': 1_926_886, '5x5 1111111111111': 1_883_032, '5x5 1111111000000': 1_868_696,
    'without h-swish': 1_879_576, 'without SE': 1_838_136, 'without 5x5': 1_863_192, 'without last 1x1': 527_896,
}  # fmt: skip
CLASSIFIERS = {
    'PP-LCNet-0.25x': (1_521_184, 16.773), 'PP-LCNet-1x': (2_952_520, 155.700), 'PP-LCNet-2.5x': (9_017_560, 893.720),
}  # fmt: skip


def test_classifiers_have_the_originals_size():
    entries = {entry.name: entry for suite in ('paper-ablations', 'paper-classification') for entry in SUITES[suite]()}
    for name, params in ABLATIONS.items():
        assert sum(p.numel() for p in entries[name].build().parameters()) == params, name
    for name, (params, macs) in CLASSIFIERS.items():
        total = measure(entries[name].build().eval(), (3, 224, 224)).total
        assert total.params == params and total.macs / 1e6 == pytest.approx(macs, abs=5e-4)


@pytest.mark.parametrize('suite', ['detectors', 'segmentors', 'paper-classification'])
def test_other_networks_build_at_a_small_size(suite, tmp_path):
    """Every network of other authors becomes a file that OpenVINO compiles."""
    for entry in SUITES[suite]():
        if entry.name.startswith(('PicoDet', 'lcnet', 'PP-LCNet')):
            continue
        # LR-ASPP pools windows of 49 pixels at stride 8.
        size = (400, 400) if suite == 'segmentors' else (128, 128)
        network = export_network(entry.name, entry.build(), size, tmp_path)
        assert compile_network(network, 'openvino', 1)() is not None


def test_mobileseg_suite_ends_with_classes_and_with_logits(tmp_path):
    entries = list(SUITES['mobileseg']())
    names = {entry.name for entry in entries}
    assert len(names) == len(entries) == 2 * (7 + 1 + 5)
    assert {entry.size for entry in entries} == {(512, 1024)}
    full = list(SUITES['mobileseg-full']())
    assert [entry.name for entry in full] == [entry.name for entry in entries if entry.name.endswith('classes')]
    assert {entry.size for entry in full} == {(1024, 2048)}
    image = torch.zeros(1, 3, 64, 96)
    for entry in entries:
        if entry.name.startswith('MobileSeg lcnet_0.5x '):
            with torch.no_grad():
                output = entry.build()(image)
            assert output.shape == ((1, 1, 64, 96) if entry.name.endswith('classes') else (1, 19, 8, 12))
    (entry,) = [entry for entry in SUITES['classifiers']() if entry.name == 'PP-LCNetV2-small']
    # Folded, as it is exported.
    assert not any('branches' in name for name, _ in entry.build().named_parameters())
    network = export_network(entry.name, entry.build(), (64, 64), tmp_path)
    assert compile_network(network, 'openvino', 1)() is not None


def test_ratios_here_and_in_the_paper():
    rows = [
        dict(name='mobilenetv3_large_0.5x 512x1024', threads=1, median=40.0, **{'paper ms': 135}),
        dict(name='lcnet_0.5x 512x1024', threads=1, median=30.0, **{'paper ms': 82}),
    ]
    (row,) = compare_with_paper(rows, 'paper-segmentation')
    assert row['ours'] == 0.75 and row['paper'] == pytest.approx(0.61, abs=0.005)


def test_a_whole_run_and_its_files(tmp_path):
    class Tiny(nn.Module):
        def forward(self, image):
            return image.relu().mean((2, 3))

    file = export_network('tiny', nn.Sequential(nn.Conv2d(3, 8, 3), Tiny()), (64, 64), tmp_path).file
    settings = Settings(threads=[1], rounds=3, warmup=1, layers=True, roofline=True)
    report = run_benchmark([str(file), SEGMENTOR], None, (64, 64), settings, tmp_path)
    text = report.format_text()
    assert str(file) in text and report.machine['cpu'] in text and 'decode_head/conv_seg' in text
    assert f'Layers of {SEGMENTOR}, 1 thread(s)' in text
    report.save(tmp_path / 'out')
    content = json.loads((tmp_path / 'out' / 'latency.json').read_text())
    assert content['reliable'] == (content['control'] <= 0.05)
    assert content['machine']['versions']['openvino'] and content['machine']['physical_cores'] >= 1
    assert set(content['shares']) == {SEGMENTOR}
    rows = list(csv.DictReader((tmp_path / 'out' / 'latency.csv').open()))
    assert [row['name'] for row in rows] == [str(file), SEGMENTOR, CONTROL]
    assert float(rows[1]['median']) > 0 and 0 < float(rows[1]['% of attainable']) < 200
    assert '| name |' in (tmp_path / 'out' / 'latency.md').read_text()
    for name in ('latency.png', 'stages.png', 'layers_0.png', 'layers_1.png'):
        assert cv2.imread(str(tmp_path / 'out' / name)).std() > 5


def test_doctor():
    report = format_report()
    assert all(part in report for part in PARTS) and 'MISSING' not in report
    machine = {**describe_machine(), 'flags': ['avx2'], 'load': 50.0}
    assert any('no VNNI' in line for line in advise(machine)) and any('load 50.0' in line for line in advise(machine))
    assert 1 <= physical_cores() <= machine['logical_cpus']
    assert re.fullmatch(r'[0-9a-f]{40}\+?', machine['commit'] or '0' * 40)


def test_mistakes(tmp_path):
    (tmp_path / 'broken.xml').write_text('<net/>')
    (tmp_path / 'empty.py').write_text('a = 1\n')
    (tmp_path / 'bare.py').write_text("custom_imports = dict(imports=['lcnet_mm'])\nmodel = dict(type='PPLCNet')\n")
    cases = {
        'none.onnx': 'does not exist', 'broken.xml': 'cannot be read', 'empty.py': 'has no model',
        'bare.py': 'name its height and width',
    }  # fmt: skip
    for name, message in cases.items():
        with pytest.raises(UserError, match=message):
            load_networks([str(tmp_path / name)], tmp_path)
    (network,) = load_networks([str(tmp_path / 'bare.py')], tmp_path, (64, 64))
    network.file = network.file.rename(tmp_path / 'renamed.xml')
    with pytest.raises(UserError, match=r'needs an \.onnx'):
        compile_network(network, 'onnxruntime', 1)
    network.module = None
    with pytest.raises(UserError, match='needs a config'):
        compile_network(network, 'torch', 1)
    with pytest.raises(UserError, match='needs the backend openvino'):
        compile_network(network, 'torch', 1, 'bf16')
    with pytest.raises(UserError, match="backend 'pytorch' is unknown; there are openvino, onnxruntime, torch"):
        compile_network(network, 'pytorch', 1)
    with pytest.raises(UserError, match='unknown; there are classifiers, paper-classification'):
        build_suite('paper', tmp_path)


def export_relu(folder, name='relu', size=(32, 48)):
    """A network of one layer as a file."""
    return export_network(name, nn.Sequential(nn.ReLU(), nn.AvgPool2d(4)), size, folder)


@pytest.mark.parametrize(
    'settings, message',
    [
        (dict(backend='torch', layers=True), 'the profile of the layers needs the backend openvino, got torch'),
        (dict(backend='onnxruntime', roofline=True), 'the roofline needs the backend openvino, got onnxruntime'),
        (dict(backend='onnxruntime', precision='bf16'), 'precision bf16 needs the backend openvino, got onnxruntime'),
        (dict(backend='torch', image=Path('none.png')), 'an image needs the backend openvino, got torch'),
        (dict(backend='tvm'), "backend 'tvm' is unknown; there are openvino, onnxruntime, torch"),
        (dict(precision='int8'), "precision 'int8' is unknown; there are f32, bf16, f16"),
        (dict(precision='bf16', roofline=True), 'the roofline needs precision f32, got bf16'),
        (dict(precision='f16', image=Path('none.png')), 'an image needs precision f32, got f16'),
        (dict(image=Path('none.png')), 'only the stages of exports are timed on an image: name the folder of one'),
    ],
)
def test_settings_that_are_unknown_or_without_effect_are_refused(tmp_path, settings, message):
    file = str(export_relu(tmp_path).file)
    with pytest.raises(UserError, match=message):
        run_benchmark([file], None, None, Settings(**settings), tmp_path)


def test_the_image_is_read_before_anything_is_timed(tmp_path):
    (tmp_path / 'broken.png').write_bytes(b'none')
    for name, message in (('none.png', 'does not exist'), ('broken.png', 'cannot be decoded')):
        with pytest.raises(UserError, match=f'{name}.* {message}'):
            run_benchmark([str(tmp_path)], None, None, Settings(image=tmp_path / name), tmp_path)


def test_sizes_without_effect_are_refused(tmp_path):
    file = str(export_relu(tmp_path).file)
    with pytest.raises(UserError, match=r'the size 64x64 has no effect on .*, whose input is fixed to 1x3x32x48'):
        load_networks([file], tmp_path, (64, 64))
    assert load_networks([file], tmp_path, (32, 48))[0].input_shape == (1, 3, 32, 48)
    with pytest.raises(UserError, match='an input size has no effect on a suite'):
        run_benchmark([], 'detectors', (64, 64), Settings(), tmp_path)
    with pytest.raises(UserError, match='nothing to time'):
        run_benchmark([], None, None, Settings(), tmp_path)


def test_openvino_computes_as_it_was_told(tmp_path):
    """It says nothing where the CPU lacks a precision, or as many cores; then the figures would bear a wrong name."""
    file = str(export_relu(tmp_path).file)
    with pytest.raises(UserError, match=r'OpenVINO uses \d+ threads on this machine where 9999 are asked for'):
        run_benchmark([file], None, None, Settings(threads=[1, 9999]), tmp_path)
    capabilities = openvino_core().get_property('CPU', 'OPTIMIZATION_CAPABILITIES')
    model = openvino_core().read_model(file)
    for precision, capability in (('bf16', 'BF16'), ('f16', 'FP16')):
        if capability in capabilities:
            compiled = compile_for_timing(model, 1, precision)
            assert compiled.get_property('INFERENCE_PRECISION_HINT').to_string() == precision
        else:
            with pytest.raises(UserError, match=f'cannot compute in {precision}, OpenVINO would use f32'):
                compile_for_timing(model, 1, precision)


def test_numbers_of_threads_are_measured_once(tmp_path):
    file = str(export_relu(tmp_path).file)
    report = run_benchmark([file], None, None, Settings(threads=[1, 1], rounds=2, warmup=0, roofline=True), tmp_path)
    assert [(row['name'], row['threads']) for row in report.rows] == [(file, 1), (CONTROL, 1)]
    assert list(report.rooflines) == [1] and report.rows[0]['MMACs'] == 0


def test_suppression_is_timed_for_the_suite_only(tmp_path, monkeypatch):
    entry = Entry('PicoDet', lambda: nn.Sequential(nn.ReLU(), nn.AvgPool2d(4)), (64, 64))
    monkeypatch.setitem(SUITES, 'detectors', lambda: iter([entry]))
    file = str(export_relu(tmp_path).file)
    settings = Settings(threads=[1], rounds=2, warmup=0)
    report = run_benchmark([file], 'detectors', None, settings, tmp_path)
    assert [row['name'] for row in report.rows if 'NMS ms' in row] == ['PicoDet']


def test_backbones_are_networks(tmp_path):
    (tmp_path / 'bare.py').write_text("custom_imports = dict(imports=['lcnet_mm'])\nmodel = dict(type='PPLCNet')\n")
    (network,) = load_networks([str(tmp_path / 'bare.py')], tmp_path, (64, 96))
    assert network.input_shape == (1, 3, 64, 96)
    assert len(build_model(load_config(tmp_path / 'bare.py'))(torch.zeros(1, 3, 64, 96))) == 4
