"""``model.json``: reading and checking the description of an exported model."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..utils.errors import UserError
from ..utils.files import sha256
from ..utils.images import READ_FLAGS
from .preprocessing import INTERPOLATIONS

FORMAT = 1
DESCRIPTION = 'model.json'
# Of each task the forms of the outputs, with the names that these have.
FORMS: dict[str, dict[str, tuple[str, ...]]] = {
    'detection': {'end2end': ('dets', 'labels'), 'raw': ('scores', 'boxes')},
    'segmentation': {'argmax': ('output',), 'logits': ('output',), 'sigmoid': ('output',)},
    'classification': {'softmax': ('output',)},
}
_STEPS = ('resize', 'resize_inside', 'resize_edge', 'center_crop', 'pad')
# No side of an image in a step is longer; larger numbers come from a damaged file.
_MAX_SIDE = 2**16


class _WrongDescription(Exception):
    """An entry of the description is missing or wrong."""


def read_description(path: str | Path, int8: bool = False) -> tuple[dict[str, Any], Path]:
    """Read ``model.json`` and find the model's files.

    Args:
        path: The export's folder, its ``model.json`` or one of its ``.xml``.
        int8: Whether to take the export's INT8 model, where the path does not name a file.

    Returns:
        The description and the model's file.

    Raises:
        UserError: a file is missing, damaged or not one that an export wrote.
    """
    path = Path(path)
    if not path.exists():
        raise UserError(f'model {path} does not exist')
    folder = path if path.is_dir() else path.parent
    file = path if path.suffix == '.json' else folder / DESCRIPTION
    if not file.is_file():
        raise UserError(f'{folder} has no {DESCRIPTION}; export the model with lcnet deploy')
    try:
        description = json.loads(file.read_text(encoding='utf-8'))
        _check_format(description, file)
        check_description(description)
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f'{file} cannot be read: {error}; export the model again') from error
    except _WrongDescription as error:
        raise UserError(f'{file} does not describe an exported model: {error}; export the model again') from error
    names = [name for name in (description['model'], description.get('int8')) if name]
    if path.suffix == '.xml' and (path.name not in names or (int8 and path.name != description.get('int8'))):
        raise UserError(f'{path} is not {"the INT8 model" if int8 else "a model"} of {file}; give the folder')
    name = path.name if path.suffix == '.xml' else description.get('int8') if int8 else description['model']
    if name is None:
        raise UserError(f'{folder} has no INT8 model; quantize the export, which keeps INT8 if it is accurate enough')
    model_file = folder / name
    if model_file.suffix != '.xml':
        raise UserError(
            f'{file} is about {model_file.name}; the runtime needs an export with an openvino deploy config'
        )
    for needed in (model_file, model_file.with_suffix('.bin')):
        _check_file(needed, description)
    return description, model_file


def _check_format(description: Any, file: Path) -> None:
    """Raise if another version wrote the description, before anything else in it is looked at."""
    _require(isinstance(description, dict), 'it is not a JSON object')
    number = description.get('format')
    if isinstance(number, int) and number != FORMAT:
        raise UserError(f'{file} has format {number}, this version reads {FORMAT}; export the model again')
    _require(number == FORMAT, 'format is missing')


def _check_file(file: Path, description: dict[str, Any]) -> None:
    """Compare a file of the model with its size and its hash in the description; older ones have no hashes."""
    if not file.is_file():
        raise UserError(f'{file} is missing; export the model again')
    size, expected = file.stat().st_size, description['files'].get(file.name)
    if size != expected:
        raise UserError(
            f'{file} has {size} bytes instead of {expected}: it is truncated or another model; export the model again'
        )
    digest = description.get('sha256', {}).get(file.name)
    try:
        if digest is not None and sha256(file) != digest:
            raise UserError(
                f'{file} cannot be read: its SHA-256 is not that of the export; it is damaged, export the model again'
            )
    except OSError as error:
        raise UserError(f'{file} cannot be read: {error.strerror or error}') from error


def check_description(description: dict[str, Any]) -> None:
    """Check presence, type and range of everything that the runtime reads.

    Raises:
        Exception: the first entry that is wrong, in words.
    """
    task = description.get('task')
    _require(isinstance(task, str) and task in FORMS, f'task {task!r} is none of {", ".join(FORMS)}')
    classes: Any = description.get('classes')
    palette: Any = description.get('palette')
    _require(_is_list(classes, _is_text) and bool(classes), 'classes must be a list of names')
    _require(
        palette is None
        or (
            _is_list(palette, lambda color: _is_list(color, lambda value: _is_int(value, 0, 255), 3))
            and len(palette) >= len(classes)
        ),
        'palette must have three numbers from 0 to 255 for each class',
    )
    names = [description.get('model'), *([description['int8']] if description.get('int8') is not None else [])]
    _require(
        all(_is_text(name) and name and Path(name).name == name for name in names),
        'model and int8 must be names of files in the same folder',
    )
    files = description.get('files')
    _require(isinstance(files, dict) and all(_is_int(size) for size in files.values()), 'files must have sizes')
    hashes = description.get('sha256', {})
    _require(isinstance(hashes, dict) and all(map(_is_text, hashes.values())), 'sha256 must have hashes')
    options = description.get('compile_options')
    _require(
        isinstance(options, dict) and all(isinstance(value, str | int | float) for value in options.values()),
        'compile_options must be options of OpenVINO',
    )
    _check_output(description.get('output'), str(task))
    _check_input(description.get('input'))


def _check_output(output: Any, task: str) -> None:
    """Check ``output``: its form, the names, and the thresholds of a detector."""
    _require(isinstance(output, dict), 'output is missing')
    form = output.get('form')
    _require(isinstance(form, str) and form in FORMS[task], f'output.form {form!r} is none of {", ".join(FORMS[task])}')
    names = output.get('names')
    _require(
        _is_list(names, _is_text) and set(FORMS[task][form]) <= set(names),
        f'output.names must have {", ".join(FORMS[task][form])}',
    )
    if form == 'raw':
        for key in ('score_threshold', 'iou_threshold'):
            _require(_is_number(output.get(key), 0, 1), f'output.{key} must be within 0 and 1')
        # Negative: no limit, as in mmdet.
        _require(_is_int(output.get('max_per_image'), -1), 'output.max_per_image must be a number')
        _require(isinstance(output.get('clip'), bool), 'output.clip must be true or false')
    if form == 'sigmoid':
        _require(_is_number(output.get('threshold'), 0, 1), 'output.threshold must be within 0 and 1')


def _check_input(entry: Any) -> None:
    """Check ``input``: channels, normalization, and what happens to images."""
    _require(isinstance(entry, dict), 'input is missing')
    channels = entry.get('channels', 3)
    _require(channels in (1, 3), f'input.channels must be 1 or 3, got {channels!r}')
    read = entry.get('read', 'color')
    _require(
        isinstance(read, str) and read in READ_FLAGS and read.startswith('color') is (channels == 3),
        f'input.read {read!r} does not go with {channels} channels',
    )
    colors = ('RGB', 'BGR') if channels == 3 else ('GRAY',)
    _require(entry.get('color') in colors, f'input.color must be {" or ".join(colors)}')
    for key in ('mean', 'std'):
        _require(
            _is_list(entry.get(key), _is_number) and len(entry[key]) in (1, channels),
            f'input.{key} must have a number for each channel',
        )
    _require(all(entry['std']), 'input.std must not be 0')
    _require(_is_int(entry.get('pad_size_divisor'), 1, _MAX_SIDE), 'input.pad_size_divisor must be at least 1')
    _require(_is_number(entry.get('pad_value')), 'input.pad_value must be a number')
    steps = entry.get('steps')
    _require(_is_list(steps, lambda step: isinstance(step, dict)), 'input.steps must be a list')
    for step in steps:
        _check_step(step, channels)


def _check_step(step: dict[str, Any], channels: int) -> None:
    """Check one of ``input.steps``."""
    kind: Any = step.get('type')
    _require(kind in _STEPS, f'input.steps has the unknown step {kind!r}')
    if kind == 'resize_edge':
        _require(_is_int(step.get('size'), 1, _MAX_SIDE), 'the size of resize_edge must be a length')
        _require(
            step.get('edge', 'short') in ('short', 'long', 'width', 'height'), 'the edge of resize_edge is unknown'
        )
    else:
        _require(
            _is_list(step.get('size'), lambda side: _is_int(side, 1, _MAX_SIDE), 2),
            f'the size of {kind} must be a width and a height',
        )
    if kind.startswith('resize'):
        backend, interpolation = step.get('backend', 'cv2'), step.get('interpolation')
        _require(
            isinstance(backend, str) and interpolation in INTERPOLATIONS.get(backend, ()),
            f'{kind} has the unknown interpolation {interpolation!r} of {backend!r}',
        )
    if kind == 'resize':
        _require(isinstance(step.get('keep_ratio'), bool), 'keep_ratio of resize must be true or false')
    if kind == 'pad':
        _require(_is_value(step.get('value'), channels), 'the value of pad must be a number for each channel')


def _require(condition: bool, problem: str) -> None:
    if not condition:
        raise _WrongDescription(problem)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_number(value: Any, low: float = -math.inf, high: float = math.inf) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and math.isfinite(value) and low <= value <= high


def _is_int(value: Any, low: float = -math.inf, high: float = math.inf) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _is_list(value: Any, is_entry: Callable[[Any], bool], length: int | None = None) -> bool:
    return (
        isinstance(value, Sequence)
        and not isinstance(value, str)
        and length in (None, len(value))
        and all(map(is_entry, value))
    )


def _is_value(value: Any, channels: int) -> bool:
    """Whether a padding value is one number, or one for each channel."""
    return _is_number(value) or _is_list(value, _is_number, channels)
