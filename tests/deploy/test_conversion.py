"""Conversion to OpenVINO as mmdeploy's users call it, with the options of the old converter."""

import json
import subprocess
import sys
from pathlib import Path

import mmdeploy.apis.openvino
import mmdeploy.backend.openvino
import numpy as np
import onnx
import pytest
from deploy_cases import SEGMENTOR, detector_config, save_image, save_random
from mmdeploy.backend.openvino import ModelOptimizerOptions
from mmengine.config import Config

from lcnet_mm.apis import load_config
from lcnet_mm.deploy import OpenVINOManager, OpenVINOWrapper
from lcnet_mm.deploy.conversion import ConversionOptions, parse_mo_options
from lcnet_mm.deploy.export import deploy
from lcnet_mm.utils.openvino import openvino_core

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope='module')
def double(tmp_path_factory):
    """An ONNX file that doubles an image of dynamic size."""
    shape = [1, 3, 'height', 'width']
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node('Mul', ['image', 'two'], ['doubled'])],
        'double',
        [onnx.helper.make_tensor_value_info('image', onnx.TensorProto.FLOAT, shape)],
        [onnx.helper.make_tensor_value_info('doubled', onnx.TensorProto.FLOAT, shape)],
        [onnx.helper.make_tensor('two', onnx.TensorProto.FLOAT, [1], [2.0])],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid('', 11)], ir_version=8)
    file = tmp_path_factory.mktemp('onnx') / 'double.onnx'
    onnx.save(model, file)
    return file


def run(file: Path, image: np.ndarray) -> np.ndarray:
    (result,) = openvino_core().compile_model(file, 'CPU')([image]).values()
    return result


def convert(double, folder, options=None, shape=(1, 3, 2, 2), outputs=('doubled',)):
    """Convert as a user of mmdeploy does."""
    mo_options = ModelOptimizerOptions(options) if options is not None else None
    mmdeploy.apis.openvino.from_onnx(str(double), str(folder), {'image': list(shape)}, list(outputs), mo_options)
    return folder / 'double.xml'


def test_mmdeploys_from_onnx_converts_at_the_shape_that_it_is_given(double, tmp_path):
    file = convert(double, tmp_path)
    assert list(openvino_core().read_model(file).inputs[0].shape) == [1, 3, 2, 2]
    image = np.arange(12, dtype=np.float32).reshape(1, 3, 2, 2)
    np.testing.assert_array_equal(run(file, image), 2 * image)
    with pytest.raises(ValueError, match='has the outputs doubled, not other'):
        convert(double, tmp_path, outputs=['other'])
    with pytest.raises(ValueError, match='has the inputs image, not input'):
        mmdeploy.apis.openvino.from_onnx(str(double), str(tmp_path), {'input': [1, 3, 2, 2]}, ['doubled'])


def test_mean_scale_and_channels_become_part_of_the_model(double, tmp_path):
    options = dict(
        args={'--mean_values': [1.0, 2.0, 3.0], '--scale_values': [2.0, 4.0, 8.0]},
        flags=['--reverse_input_channels', '--disable_fusing'],
    )
    image = np.random.default_rng(0).uniform(0, 255, (1, 3, 2, 2)).astype(np.float32)
    mean, scale = (np.array(values, np.float32).reshape(1, 3, 1, 1) for values in ([1, 2, 3], [2, 4, 8]))
    expected = 2 * (image[:, ::-1] - mean) / scale
    np.testing.assert_allclose(run(convert(double, tmp_path, options), image), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ('arguments', 'expected'),
    [
        ('', ConversionOptions()),
        ('--data_type=FP16 ', ConversionOptions(compress_to_fp16=True)),
        ('--data_type=FP32 --disable_fusing', ConversionOptions()),
        ('--compress_to_fp16', ConversionOptions(compress_to_fp16=True)),
        ('--compress_to_fp16=False', ConversionOptions()),
        ('--scale=255', ConversionOptions(scale=(255.0,))),
        ('--mean_values="[1, 2, 3]"', ConversionOptions(mean=(1.0, 2.0, 3.0))),
    ],
)
def test_options_of_the_old_converter(arguments, expected):
    assert parse_mo_options(arguments) == expected


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ('--transformations_config=a.json', 'transformations_config=a.json, which OpenVINO'),
        ('--data_type=INT8', 'data_type=INT8, which OpenVINO'),
        ('--mean_values="[a, b]"', r'mean_values=\[a, b\]; it must be numbers'),
        ('--scale_values=', 'scale_values=; it must be numbers'),
    ],
)
def test_options_without_a_counterpart_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        parse_mo_options(arguments)


def test_to_backend_follows_the_options_of_the_deploy_config(double, tmp_path):
    deploy_cfg = Config(
        dict(
            onnx_config=dict(input_names=['image'], output_names=['doubled'], input_shape=None),
            backend_config=dict(type='openvino', mo_options=dict(args={'--scale_values': [2.0, 2.0, 2.0]})),
        )
    )
    (file,) = OpenVINOManager.to_backend([str(double)], str(tmp_path), deploy_cfg)
    assert Path(file) == tmp_path / 'double.xml'
    image = np.ones((1, 3, 4, 6), np.float32)
    # The shape stays dynamic.
    np.testing.assert_allclose(run(tmp_path / 'double.xml', image), image)


def test_mmdeploys_names_are_ours():
    assert mmdeploy.backend.openvino.OpenVINOWrapper is OpenVINOWrapper


def test_mmdeploy_alone_finds_our_backend():
    """mmdeploy's own commands import mmdeploy and read a model's config, and nothing of ours by name."""
    code = """
import json
from mmdeploy.apis import build_task_processor
from mmdeploy.apis.openvino import from_onnx
from mmdeploy.utils import load_config
from mmdeploy.backend.base import get_backend_manager
load_config('configs/imagenet/pplcnet_0.25x_in1k.py')
import sys
print(json.dumps([get_backend_manager('openvino').__module__, 'lcnet_mm.deploy.rewriters' in sys.modules]))
"""
    result = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, cwd=ROOT)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout.splitlines()[-1]) == ['lcnet_mm.deploy.backend', True]


@pytest.mark.parametrize(
    ('name', 'config', 'size'),
    [
        ('detection_openvino_static-320x320', detector_config('simota', 3), (128, 96)),
        ('segmentation_openvino_static-512x1024', Config(SEGMENTOR), (128, 64)),
        ('classification_openvino_static-224x224', load_config('configs/imagenet/pplcnet_0.25x_in1k.py'), (64, 64)),
    ],
    ids=['detector', 'segmentor', 'classifier'],
)
def test_the_opset_of_mmdeploys_own_deploy_configs(name, config, size, tmp_path):
    deploy_cfg = load_config(f'configs/deploy/{name}.py')
    deploy_cfg.onnx_config.update(opset_version=11, input_shape=list(size))
    checkpoint, image = save_random(config, tmp_path / 'random.pth'), save_image(tmp_path / 'image.png')
    result = deploy(deploy_cfg, config, 'test.py', checkpoint, image, tmp_path / 'export')
    assert result.passed, result.problem
    opsets = {entry.domain: entry.version for entry in onnx.load(tmp_path / 'export' / 'end2end.onnx').opset_import}
    assert opsets[''] == 11
