"""Mutated options, configs and checkpoints: a mistake is a UserError, whatever it is, and no input changes.

``LCNET_MM_MUTANTS`` sets the number of mutants of each kind (200).
"""

import copy
import os

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mmengine.config import Config

from lcnet_mm.apis import UserError, load_config, read_checkpoint
from lcnet_mm.apis.train import check_options, finished_message
from lcnet_mm.cli import run_command

MUTANTS = int(os.environ.get('LCNET_MM_MUTANTS', '200'))
SETTINGS = settings(
    max_examples=MUTANTS,
    deadline=None,
    database=None,
    derandomize=MUTANTS <= 200,
    suppress_health_check=list(HealthCheck),
)
CONFIG = 'configs/imagenet/pplcnet_0.25x_in1k.py'
BASE = load_config(CONFIG)


def places(value, place=()):
    """Every place of a config."""
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list | tuple) else ()
    for key, part in parts:
        yield (*place, key)
        yield from places(part, (*place, key))


PLACES = sorted({'.'.join(map(str, place)) for place in places(BASE._cfg_dict)})
# What people write where something else is expected.
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(['auto', 'SGD', 'Adam', 'inf', '1e-3', '~/x', '']),
    st.lists(st.integers(-5, 5), max_size=3),
    st.dictionaries(st.sampled_from(['type', 'lr', 'a', '0', '']), st.integers(0, 3), max_size=2),
    st.just(dict(_delete_=True)),
)


@st.composite
def slips(draw):
    """A place of the config with a letter too many, too few, or another one."""
    place = draw(st.sampled_from(PLACES))
    at, letter = draw(st.integers(0, len(place) - 1)), draw(st.sampled_from('abcdetr_.0'))
    return draw(
        st.sampled_from([place, place[:at] + place[at + 1 :], place[:at] + letter + place[at:], f'{place}.{letter}'])
    )


@settings(SETTINGS, max_examples=max(MUTANTS // 4, 25))
@given(st.dictionaries(slips(), VALUES, min_size=1, max_size=2))
def test_options(options):
    before = copy.deepcopy(options)
    try:
        check_options(load_config(CONFIG, options))
    except UserError as error:
        assert str(error)
    assert repr(options) == repr(before)


@SETTINGS
@given(st.sampled_from(PLACES), VALUES, st.booleans())
def test_configs(place, value, remove):
    """A part of a config is something else, or is missing."""
    cfg = Config(copy.deepcopy(BASE._cfg_dict.to_dict()))
    *outer, last = place.split('.')
    holder = cfg._cfg_dict
    for part in outer:
        holder = holder[int(part) if isinstance(holder, list | tuple) else part]
    last = int(last) if isinstance(holder, list | tuple) else last
    if isinstance(holder, tuple):
        return
    if remove:
        del holder[last]
    else:
        holder[last] = value
    try:
        check_options(cfg)
    except UserError as error:
        assert '\n' not in str(error)


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp('mutants') / 'a.pth'
    history = dict(log_scalars={}, runtime_info=dict(max_epochs=2))
    torch.save(
        dict(
            state_dict=dict(w=torch.zeros(4)), meta=dict(epoch=1, iter=3), optimizer=dict(state={}), message_hub=history
        ),
        path,
    )
    return path


@SETTINGS
@given(st.data())
def test_checkpoints(checkpoint, tmp_path_factory, data):
    """Truncated, with other bytes, or with other contents."""
    content = bytearray(checkpoint.read_bytes())
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    else:
        for _ in range(data.draw(st.integers(1, 8))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    mutant = checkpoint.with_name('mutant.pth')
    mutant.write_bytes(content)
    try:
        read_checkpoint(mutant)
    except UserError as error:
        assert 'mutant.pth' in str(error)
    assert mutant.read_bytes() == bytes(content)


@SETTINGS
@given(
    st.dictionaries(st.sampled_from(['state_dict', 'meta', 'optimizer', 'message_hub', 'x']), VALUES, max_size=4),
    st.booleans(),
)
def test_contents_of_checkpoints(checkpoint, content, keep):
    whole = torch.load(checkpoint, weights_only=False) if keep else {}
    mutant = checkpoint.with_name('mutant.pth')
    torch.save({**whole, **content}, mutant)
    try:
        read = read_checkpoint(mutant)
    except UserError as error:
        assert 'mutant.pth' in str(error)
    else:
        assert all(isinstance(key, str) for key in read['state_dict'])
        meta = read.get('meta') or {}
        if isinstance(meta.get('epoch'), int):
            finished_message(BASE, read)


@settings(SETTINGS, max_examples=max(MUTANTS // 4, 25))
@given(
    st.sampled_from(['train', 'test']),
    st.lists(
        st.sampled_from(
            [
                '--resume',
                '--cfg-options',
                '--work-dir',
                '--launcher',
                'x',
                'a=1',
                'a.b',
                '=',
                '--amp',
                '--launcher=mpi',
                '-1',
                '--cfg-options=a',
                CONFIG,
                'train_cfg.max_epochs=0',
                '--auto-scale-lr',
                '--out',
                'train_cfg=1',
                '[',
                'a=[1',
                "a='",
            ]
        ),
        max_size=5,
    ),
)
def test_command_lines(capsys, tmp_path_factory, command, arguments):
    """Exit code 1 or 2, and no traceback; every one of these is wrong or lacks its data."""
    with pytest.raises(SystemExit) as end:
        run_command(command, arguments, 'lcnet')
    errors = capsys.readouterr().err
    assert end.value.code in (1, 2) and 'Traceback' not in errors
    assert len([line for line in errors.splitlines() if 'error: ' in line]) == 1
