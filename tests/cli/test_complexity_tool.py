"""What the complexity tool says to a user's mistakes, and to a config that is a backbone alone."""

import json

from run_tool import assert_one_line_error, run_tool

BACKBONE = "custom_imports = dict(imports=['lcnet_mm'])\nmodel = dict(type='PPLCNet', widen_factor=0.25)\n"


def test_backbone_alone(tmp_path):
    config, counts = tmp_path / 'backbone.py', tmp_path / 'counts.json'
    config.write_text(BACKBONE)
    options = ['model.widen_factor=0.5', 'model.in_channels=1']
    result = run_tool('complexity.py', config, '--shape', 64, 96, '--json', counts, '--cfg-options', *options)
    assert result.returncode == 0, result.stderr
    report = json.loads(counts.read_text())[str(config)]
    assert report['input_shape'] == [1, 64, 96]
    assert [part['name'] for part in report['parts']] == [f'stage{i}' for i in range(5)]
    # docs/specification/pplcnet.md#sizes, less the two further input channels of the 3x3 stem with 8 channels.
    assert report['total']['params'] == 270_896 - 2 * 9 * 8


def test_mistakes_are_one_line(tmp_path):
    config, empty = tmp_path / 'backbone.py', tmp_path / 'empty.py'
    config.write_text(BACKBONE)
    empty.write_text('train_cfg = dict()\n')
    assert_one_line_error(run_tool('complexity.py', tmp_path / 'none.py'), 'none.py', 'does not exist')
    assert_one_line_error(run_tool('complexity.py', empty), 'empty.py', 'no model')
    wrong = run_tool('complexity.py', config, '--cfg-options', 'model.widen_factor=0')
    assert_one_line_error(wrong, 'cannot be built', 'widen_factor')
    unwritable = run_tool('complexity.py', config, '--json', tmp_path / 'none' / 'counts.json')
    assert_one_line_error(unwritable, 'counts.json', 'cannot be written')
