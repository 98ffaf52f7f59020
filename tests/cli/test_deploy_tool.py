"""The command lines of export and its comparison, as a user calls them."""

import json

from deploy_cases import detector_config, save_image, save_random
from run_tool import assert_one_line_error, run_tool

CONFIG = 'configs/picodet_like/lcnet_0.5x_coco.py'
DEPLOY = 'configs/deploy/detection_openvino_static-320x320.py'


def test_export_and_benchmark(tmp_path):
    checkpoint = save_random(detector_config('gfl', 80), tmp_path / 'random.pth')
    image, target = save_image(tmp_path / 'image.png'), tmp_path / 'export'
    arguments = (DEPLOY, CONFIG, checkpoint, image, '--work-dir', target, '--input-size', 96, 64)
    options = ('--cfg-options', 'model.test_cfg.score_thr=0.0001')
    result = run_tool('deploy.py', *arguments, '--layout', 'ovms', *options)
    assert result.returncode == 0, result.stderr
    assert f'ovms --model_path {target}' in result.stdout
    # OpenVINO Model Server looks for one model in folders with numbers.
    assert sorted(path.name for path in target.iterdir() if path.is_dir()) == ['1']
    assert sorted(path.name for path in (target / '1').iterdir()) == ['model.bin', 'model.xml']
    assert (target / '1' / 'model.xml').read_bytes() == (target / 'end2end.xml').read_bytes()
    assert 'openvino' in result.stdout and 'FAILED' not in result.stdout
    description = json.loads((target / 'model.json').read_text())
    assert description['input']['size'] == [96, 64] and len(description['classes']) == 80
    assert description['source']['config'] == CONFIG and description['classes'][0] == 'person'

    medians = tmp_path / 'medians.json'
    arguments = (DEPLOY, CONFIG, checkpoint, target, image, '--rounds', 2, '--threads', 1, '--json', medians)
    result = run_tool('benchmark_runtime.py', *arguments)
    assert result.returncode == 0, result.stderr
    assert len(json.loads(medians.read_text())['1']) == 3

    wrong = (DEPLOY, CONFIG, checkpoint, image, '--work-dir', tmp_path / 'none')
    error = run_tool('deploy.py', *wrong, '--cfg-options', 'model.bbox_head.num_classes=3')
    assert_one_line_error(error, 'random.pth', 'made for another model')
    assert_one_line_error(run_tool('deploy.py', 'none.py', *wrong[1:]), 'none.py', 'does not exist')
    onnxruntime = DEPLOY.replace('openvino', 'onnxruntime')
    error = run_tool('deploy.py', onnxruntime, *wrong[1:], '--layout', 'ovms')
    assert_one_line_error(error, 'OpenVINO Model Server needs an openvino deploy config, got one for onnxruntime')
    assert not (tmp_path / 'none').exists()


def test_int8_needs_its_options(tmp_path):
    arguments = (DEPLOY, CONFIG, 'none.pth', 'none.jpg', '--work-dir', tmp_path / 'export')
    assert_one_line_error(run_tool('deploy.py', *arguments, '--int8'), '--int8 needs --calib')
    assert_one_line_error(run_tool('deploy.py', *arguments, '--max-drop', 1), '--max-drop', 'are for --int8')
    # The calibration is looked at before the checkpoint is.
    error = run_tool('deploy.py', *arguments, '--int8', '--calib', tmp_path / 'none')
    assert_one_line_error(error, 'test data', 'is missing')
    assert not (tmp_path / 'export').exists()
