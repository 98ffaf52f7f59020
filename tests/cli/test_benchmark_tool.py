"""The latency tool as a user calls it; what it measures is not tested, only that it measures and says so."""

import json

from run_tool import assert_one_line_error, run_tool

CONFIG = 'configs/picodet_like/lcnet_0.5x_coco.py'


def test_figures_and_mistakes(tmp_path):
    file = tmp_path / 'latency.json'
    result = run_tool('benchmark.py', CONFIG, '--threads', 1, '--rounds', 3, '--shape', 96, 96, '--json', file)
    report = json.loads(file.read_text())
    # On a busy machine the control may differ: then the run says that it is unreliable.
    assert result.returncode == (0 if report['reliable'] else 1), result.stderr
    assert ('control differs' in result.stderr) is not report['reliable']
    ours, control = report['latency']
    assert ours['name'] == CONFIG and 0 < ours['min'] <= ours['median'] and control['threads'] == 1
    assert report['machine']['cpu'] in result.stdout and CONFIG in result.stdout

    assert_one_line_error(run_tool('benchmark.py'), 'MODEL', '--suite')
    assert_one_line_error(run_tool('benchmark.py', 'none.py'), 'none.py', 'does not exist')
    assert_one_line_error(run_tool('benchmark.py', '--suite', 'all'), "'all'", 'paper-detection')
    assert_one_line_error(run_tool('benchmark.py', CONFIG, '--rounds', 0), '--rounds', '2')
    doctor = run_tool('benchmark.py', '--doctor')
    assert doctor.returncode == 0 and 'physical cores' in doctor.stdout and 'openvino' in doctor.stdout
