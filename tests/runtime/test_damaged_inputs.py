"""Damaged exports, images and command lines: one line for the user, no traceback, no changed input.

``LCNET_MM_MUTANTS`` sets how many of each kind are tried.
"""

import contextlib
import json
import os
import shutil
from pathlib import Path
from unittest import mock

import cv2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from runtime_command import hashes, run
from tiny_exports import TASKS, make_export, make_images

from lcnet_mm.runtime import __main__ as command
from lcnet_mm.runtime import load_model
from lcnet_mm.runtime.drawing import draw, to_json
from lcnet_mm.utils.errors import UserError

COUNT = int(os.environ.get('LCNET_MM_MUTANTS', '120'))
mutants = settings(
    max_examples=COUNT, deadline=None, derandomize=COUNT == 120, database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)  # fmt: skip
IMAGE = make_images(1)[0]
JSON = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.sampled_from([0, -1, 1, 2, 1e-9, 1e300, float('nan')]),
    st.text(max_size=5), st.lists(st.integers(-3, 300), max_size=4), st.just({}),
)  # fmt: skip


@pytest.fixture(scope='module')
def exports(tmp_path_factory):
    folder = tmp_path_factory.mktemp('exports')
    return {task: make_export(folder / task, task) for task in TASKS}


@pytest.fixture(scope='module')
def model(exports):
    """A model that is opened once."""
    return load_model(exports['classification'], 1)


def places(value, prefix=()):
    """All places in a JSON value, as tuples of keys."""
    for key, entry in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield (*prefix, key)
        yield from places(entry, (*prefix, key))


@mutants
@given(data=st.data())
def test_descriptions(data, exports, tmp_path):
    """Wrong, missing and renamed keys of model.json: a model that works, or one line."""
    source = exports[data.draw(st.sampled_from(TASKS))]
    folder = tmp_path / 'export'
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(source, folder)
    description = json.loads((folder / 'model.json').read_text())
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.sampled_from(list(places(description))))
        parent = description
        for key in place[:-1]:
            parent = parent[key]
        kind = data.draw(st.sampled_from(['delete', 'replace', 'rename']))
        value = parent.pop(place[-1])
        if kind == 'replace':
            entry = data.draw(JSON)
            parent.insert(place[-1], entry) if isinstance(parent, list) else parent.update({place[-1]: entry})
        elif kind == 'rename' and isinstance(parent, dict):
            parent[data.draw(st.text(max_size=4))] = value
    (folder / 'model.json').write_text(json.dumps(description))
    try:
        model = load_model(folder, 1)
        result = model(IMAGE)
    except UserError as error:
        assert '\n' not in str(error) and str(error)
    else:
        assert draw(model, IMAGE, result, 0.1).shape == IMAGE.shape
        json.dumps(to_json(model, result, 0.1))


@mutants
@given(data=st.data())
def test_damaged_files_of_an_export(data, exports, tmp_path):
    """Truncated, emptied, missing and changed files are refused; nothing of them reaches OpenVINO."""
    folder = tmp_path / 'export'
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(exports[data.draw(st.sampled_from(TASKS))], folder)
    file = folder / data.draw(st.sampled_from(['end2end.xml', 'end2end.bin', 'model.json']))
    content = bytearray(file.read_bytes())
    kind = data.draw(st.sampled_from(['truncate', 'flip', 'delete', 'folder']))
    position = data.draw(st.integers(0, len(content) - 1))
    if kind == 'truncate':
        content = content[:position]
    elif kind == 'flip':
        # A flip in the white space or the text of JSON may leave it valid.
        content[position] ^= 1 << data.draw(st.integers(0, 7))
    file.unlink()
    if kind == 'folder':
        file.mkdir()
    elif kind != 'delete':
        file.write_bytes(content)
    if file.name == 'model.json' and kind == 'flip':
        with contextlib.suppress(UserError):
            load_model(folder, 1)(IMAGE)
    else:
        with pytest.raises(UserError, match=r'\.(xml|bin|json)'):
            load_model(folder, 1)


@mutants
@given(data=st.data())
def test_images(data, model, tmp_path):
    """Damaged images beside a good one: recorded or predicted, never changed, and the good one is always done."""
    images, out = tmp_path / 'images', tmp_path / 'out'
    for folder in (images, out):
        shutil.rmtree(folder, ignore_errors=True)
    images.mkdir()
    suffix = data.draw(st.sampled_from(['.jpg', '.png', '.bmp', '.webp', '.tif']))
    content = bytearray(cv2.imencode(suffix, IMAGE)[1].tobytes())
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, min(len(content) - 1, 300)) | st.integers(0, len(content) - 1))
        kind = data.draw(st.sampled_from(['set', 'cut', 'insert', 'drop']))
        if kind == 'set':
            content[position] = data.draw(st.integers(0, 255))
        elif kind == 'cut':
            content = content[: max(1, position)]
        elif kind == 'insert':
            content[position:position] = data.draw(st.binary(max_size=8))
        else:
            del content[position : position + 4]
        content = content or bytearray(b'\0')
    (images / f'bad{suffix}').write_bytes(content)
    cv2.imwrite(str(images / 'good.png'), IMAGE)
    before = hashes(images)
    with mock.patch.object(command, 'load_model', lambda *_: model):
        code, errors = run('export', images, '--out', out)
    assert hashes(images) == before
    assert 'Traceback' not in errors
    report = json.loads((out / 'predictions.json').read_text())
    done = {Path(entry['file']).name for entry in report['images']}
    failed = {Path(entry['file']).name for entry in report['failures']}
    assert 'good.png' in done and done | failed == {'good.png', f'bad{suffix}'} and not done & failed
    assert code == (1 if failed else 0)
    assert sorted(path.name for path in out.iterdir()) == sorted(
        ['predictions.json', *(f'{Path(name).stem}.jpg' for name in done)]
    )


@mutants
@given(data=st.data())
def test_command_lines(data, exports, tmp_path):
    """Any values of any options: one line or a result, and no changed input."""
    root = tmp_path / 'root'
    shutil.rmtree(root, ignore_errors=True)
    (root / 'images' / 'inner').mkdir(parents=True)
    for name in ('a.png', 'b.jpg', 'inner/a.png'):
        cv2.imwrite(str(root / 'images' / name), IMAGE)
    (root / 'text.txt').write_text('text')
    before = hashes(root)
    paths = [root / 'images', root / 'images' / 'a.png', root / 'none', root / 'text.txt', root / 'images' / 'inner']
    inputs = data.draw(st.lists(st.sampled_from([*paths, '0', '-1', '']), min_size=1, max_size=3))
    outs = [
        root / 'out',
        root / 'images',
        root / 'images' / 'out',
        root / 'text.txt',
        root / 'text.txt' / 'x',
        '/proc/x',
    ]
    args = [
        data.draw(
            st.sampled_from([exports['detection'], exports['detection'] / 'model.json', root, root / 'text.txt'])
        ),
        *(entry for entry in inputs if entry != '0'),
        '--out',
        data.draw(st.sampled_from([*outs, root / 'images' / 'inner', ''])),
    ]
    numbers = st.sampled_from(['0', '-1', '1', '2', '99999999999999999999', 'many', '0.5', 'nan', 'inf', ''])
    for option in data.draw(st.lists(st.sampled_from(['--threads', '--score-thr', '--max-frames']), max_size=2)):
        args += [option, data.draw(numbers)]
    if data.draw(st.booleans()):
        args.append('--int8')
    with contextlib.chdir(root):
        code, errors = run(*args)
    assert isinstance(code, int) and 'Traceback' not in errors
    after = hashes(root)
    assert {name: after.get(name) for name in before} == before
    new = set(after) - set(before)
    if code:
        lines = [line for line in errors.splitlines() if 'error: ' in line]
        assert lines or code == 2
    assert not [name for name in new if name.endswith('.partial')]
