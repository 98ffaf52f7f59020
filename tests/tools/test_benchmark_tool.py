"""The latency tool as a user calls it; what it measures is not tested, only that it measures and says so."""

import json

from run_tool import assert_one_line_error, run_tool

CONFIG = 'configs/picodet_like/lcnet_0.5x_coco.py'


def test_figures_and_mistakes(tmp_path):
    file = tmp_path / 'latency.json'
    result = run_tool('benchmark.py', CONFIG, '--threads', 1, '--rounds', 3, '--json', file)
    report = json.loads(file.read_text())
    # On a busy machine the control may differ: then the run says that it is unreliable.
    assert result.returncode == (0 if report['reliable'] else 1), result.stderr
    assert ('control differs' in result.stderr) is not report['reliable']
    ours, control = report['threads']['1'].values()
    assert ours['calls'] == control['calls'] == 3 and 0 < ours['minimum'] <= ours['median']
    assert report['cpu'] in result.stdout and CONFIG in result.stdout

    other = tmp_path / 'backbone.py'
    other.write_text("model = dict(type='PPLCNet')\n")
    assert_one_line_error(run_tool('benchmark.py', other), 'backbone.py', 'no PicoDet head')
    assert_one_line_error(run_tool('benchmark.py', 'none.py'), 'none.py', 'does not exist')
