"""Convert published weights to checkpoints of this package."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..backbones import PPLCNet, PPLCNetV2
from ..backbones.pplcnet_v2 import ARCHS
from ..data.report import shorten
from ..data.spec import TASKS, resolve_config
from ..utils.checkpoint import compare_tensors
from ..utils.config import load_config
from ..utils.errors import UserError
from ..utils.files import atomic_path, is_same_file, sha256
from ..utils.models import build_model, flatten_tensors
from ..utils.optional import require
from .key_rules import is_folded, rename_mobileseg_key, rename_statistics, rename_v2_key
from .names import UnknownKeyError, rename_paddle_key
from .reading import read_tensors

# PaddleClas's dropout scales at inference, PyTorch's in training; the factor is multiplied into the linear layer
# (docs/specification/pplcnet.md#dropout).
_PADDLE_DROPOUT_KEEP = 0.8
# What the kind of a network with folded branches ends with.
_FOLDED = ', folded: for model.backbone.deploy=True'
_PUBLISHED_WIDTHS = (0.25, 0.35, 0.5, 0.75, 1.0, 1.5, 2.0, 2.5)


@dataclass
class Conversion:
    """The result of :func:`convert_weights`.

    Attributes:
        kind: The network that was recognized.
        widen_factor: Width factor of the backbone; None where it has no published one.
        used: For each converted tensor, its name in the source and its name in the checkpoint.
        skipped: Names in the source of tensors that the model does not need.
        files: The written files.
        shapes: Shapes of the model's outputs, if there is a config.
        classes: Names of the classes that the checkpoint carries, from the file or else from the config; None where
            both have none.
        input_size: Width and height of the input where the file fixes them.
    """

    kind: str
    widen_factor: float | None
    used: dict[str, str] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    shapes: list[tuple[int, ...]] = field(default_factory=list)
    classes: tuple[str, ...] | None = None
    input_size: tuple[int, int] | None = None

    def format(self) -> str:
        """Return the report as text."""
        lines = [f'{self.kind}' + (f', width {self.widen_factor}' if self.widen_factor else '')]
        lines.append(f'  {len(self.used)} tensors used, {len(self.skipped)} skipped, 0 missing')
        lines += [f'  skipped: {name}' for name in self.skipped]
        if self.input_size:
            lines.append(f'  input: {self.input_size[0]}x{self.input_size[1]} (width x height)')
        if self.classes:
            lines.append(f'  {len(self.classes)} classes: {shorten(list(self.classes))}')
        lines += [f'  output: {shape}' for shape in self.shapes]
        lines += [f'  wrote {file}' for file in self.files]
        return '\n'.join(lines)


def _rename_classifier_key(key: str) -> str:
    """Return the name in this package of a tensor of PaddleClas's PP-LCNet."""
    if re.match(r'(last_conv|fc)\.', key):
        return f'head.{key}'
    if not re.match(r'(conv1|blocks[2-6])\.', key):
        raise UnknownKeyError(f'{key} is not a tensor of PP-LCNet')
    return f'backbone.{rename_statistics(key)}'


def _rename_timm_key(key: str) -> str:
    """Return the name in this package of a tensor of timm's LCNet."""
    key = re.sub(r'^conv_stem\.', 'conv1.conv.', key)
    key = re.sub(r'^bn1\.', 'conv1.bn.', key)
    key = re.sub(r'^conv_head\.', 'head.last_conv.', key)
    key = re.sub(r'^classifier\.', 'head.fc.', key)
    if key.startswith('head.'):
        return key
    block = re.match(r'^blocks\.(\d)\.(\d)\.(.+)', key)
    if block:
        stage, index, rest = int(block[1]), int(block[2]), block[3]
        # timm splits the stage of stride 16 after its second block.
        stage, index = (3, index + 2) if stage == 4 else (min(stage, 4), index)
        for theirs, ours in (
            ('conv_dw.', 'dw_conv.conv.'),
            ('bn1.', 'dw_conv.bn.'),
            ('se.conv_reduce.', 'se.conv1.'),
            ('se.conv_expand.', 'se.conv2.'),
            ('conv_pw.', 'pw_conv.conv.'),
            ('bn2.', 'pw_conv.bn.'),
        ):
            if rest.startswith(theirs):
                return f'backbone.blocks{stage + 2}.{index}.{ours}{rest.removeprefix(theirs)}'
    if not key.startswith('conv1.'):
        raise UnknownKeyError(f"{key} is not a tensor of timm's LCNet")
    return f'backbone.{key}'


def _recognize(names: set[str]) -> tuple[str, Callable[[str], str | None]]:
    """Return the network that tensors of these names belong to, and the function that renames them.

    Raises:
        UserError: it is not a known network.
    """
    if 'conv_stem.weight' in names:
        return 'timm LCNet', _rename_timm_key
    if 'stem.0.conv.weight' in names and any(name in names for name in ('last_conv.weight', 'conv_head.weight')):
        kind = 'PaddleClas PP-LCNetV2' if 'last_conv.weight' in names else 'timm LCNetV2'
        return kind + (_FOLDED if is_folded(names) else ''), lambda key: rename_v2_key(key, names)
    if 'ppseg_head.cm.stages.0.1._conv.weight' in names:
        return 'PaddleSeg MobileSeg', rename_mobileseg_key
    if 'head.head_reg0.weight' in names:
        return 'PaddleDetection PicoDet, generation 2', lambda key: rename_paddle_key(key, 2)
    if 'head.head_cls0.weight' in names:
        return 'PaddleDetection PicoDet, generation 1', lambda key: rename_paddle_key(key, 1)
    if 'conv1.conv.weight' in names and 'blocks2.0.dw_conv.conv.weight' in names:
        return 'PaddleClas PP-LCNet', _rename_classifier_key
    raise UserError(
        'unknown network; known are PaddleClas PP-LCNet and PP-LCNetV2, PaddleDetection PicoDet of generation 1 or 2, '
        f'PaddleSeg MobileSeg, timm LCNet and LCNetV2; its first tensor is {min(names)}'
    )


def _infer_width(state: dict[str, Tensor]) -> float:
    """Return the published width factor whose backbone has exactly these tensors.

    Raises:
        UserError: there is none; the message names the closest width and the first tensor that differs.
    """
    given = {
        key.removeprefix('backbone.'): tuple(value.shape)
        for key, value in state.items()
        if key.startswith('backbone.') and 'num_batches_tracked' not in key
    }
    differences = {}
    for width, backbone in _published_backbones(given.keys()):
        wanted = {
            key: tuple(value.shape) for key, value in backbone.state_dict().items() if 'num_batches_tracked' not in key
        }
        wrong = sorted(key for key in wanted.keys() | given.keys() if wanted.get(key) != given.get(key))
        if not wrong:
            return width
        differences[width] = wrong
    width = min(differences, key=lambda candidate: len(differences[candidate]))
    first = differences[width][0]
    raise UserError(
        f'the backbone has no published width; the closest is {width}, but {len(differences[width])} tensors differ '
        f'(first: {first}, {given.get(first, "missing")})'
    )


def _published_backbones(names: Iterable[str]) -> Iterator[tuple[float, nn.Module]]:
    """Yield width and network of the published sizes: of PP-LCNetV2 where the names have its stem, else of PP-LCNet."""
    if 'stem.0.conv.weight' not in names:
        for width in _PUBLISHED_WIDTHS:
            yield width, PPLCNet(width, out_indices=-1)
        return
    folded = not any('.branches.' in name for name in names)
    for arch, (width, _) in ARCHS.items():
        yield width, PPLCNetV2(arch, out_indices=-1, deploy=folded)


def convert_weights(src: str | Path, dst: str | Path, config: str | Path | None = None) -> Conversion:
    """Convert a file of published weights to ``dst`` (``.pth``) and to a ``.safetensors`` file of the same name.

    The checkpoint carries the names of the classes: those of the file, or else those of the config's test data.

    Args:
        src: A ``.pdparams`` file of PaddleClas, PaddleDetection or PaddleSeg, a ``.pth`` or ``.safetensors`` file of
            timm, or an ``.onnx`` file that paddle2onnx or this package has exported.
        dst: The ``.pth`` file to write. ``torch.load(weights_only=True)`` reads it.
        config: A config whose model must get all of its tensors from the file; the model is run once. Without a config,
            the backbone must have a published width. An ``.onnx`` file needs one.

    Returns:
        The recognized network, and the converted and skipped tensors.

    Raises:
        UserError: the source cannot be read, is an unknown network or does not fit; then no file is written.
    """
    dst = Path(dst)
    if dst.suffix != '.pth':
        raise UserError(f'the target {dst} must end with .pth')
    for target in (dst, dst.with_suffix('.safetensors')):
        if is_same_file(src, target):
            raise UserError(f'the target {target} is the source, which would be replaced; choose another name')
    if Path(src).suffix == '.onnx':
        return _convert_onnx(src, dst, config)
    source = _strip_distillation(read_tensors(src))
    try:
        kind, rename = _recognize(set(source))
        result = Conversion(kind, None)
        state: dict[str, Tensor] = {}
        for key, value in source.items():
            name = rename(key)
            if name is None:
                result.skipped.append(key)
                continue
            if name in state:
                raise UserError(f'{key} and another tensor would both be named {name}')
            state[name] = _adapt(name, value, kind)
            result.used[key] = name
    except (UnknownKeyError, UserError) as error:
        raise UserError(f'{src}: {error}') from error
    try:
        if not any(key.startswith('backbone.blocks3.0.expand_conv') for key in state):
            result.widen_factor = _infer_width(state)
    except UserError as error:
        if config is None:
            raise UserError(f'{src}: {error}') from error
    if config is not None:
        _fit_to_config(state, result, src, config)
    _write_checkpoint(state, result, src, dst, config)
    return result


def _convert_onnx(src: str | Path, dst: Path, config: str | Path | None) -> Conversion:
    """Convert a network whose tensors have no names that could be translated."""
    if config is None:
        raise UserError(f'{src} can only be matched with a model: give the config of the same network')
    try:
        require('onnx', 'the conversion of .onnx files', 'deploy')
        require('onnxruntime', 'the conversion of .onnx files', 'deploy')
    except ImportError as error:
        raise UserError(str(error)) from error
    from .onnx_file import read_onnx_weights

    state, used, file = read_onnx_weights(src, config)
    result = Conversion('ONNX', None, used, classes=file.classes)
    result.input_size = file.size[::-1] if file.size else None
    _fit_to_config(state, result, src, config)
    _write_checkpoint(state, result, src, dst, config)
    return result


def _strip_distillation(source: dict[str, Tensor]) -> dict[str, Tensor]:
    """Keep only the student, if the checkpoint is that of a distillation."""
    if not any(key.startswith('Student.') for key in source):
        return source
    return {key.removeprefix('Student.'): value for key, value in source.items() if key.startswith('Student.')}


def _adapt(name: str, value: Tensor, kind: str) -> Tensor:
    """Transpose and scale the weight of PaddleClas's linear layer; copy every other tensor."""
    if kind.startswith('PaddleClas') and name == 'head.fc.weight':
        return value.T.contiguous() * _PADDLE_DROPOUT_KEEP
    return value.clone()


def _fit_to_config(state: dict[str, Tensor], result: Conversion, src: str | Path, config: str | Path) -> None:
    """Check that the tensors are those of the config's model, without a classifier if it has none, and run it once."""
    cfg = load_config(config)
    if result.kind.endswith(_FOLDED):
        cfg.model.backbone.deploy = True
    model = build_model(cfg).eval()
    wanted = model.state_dict()
    has_classifier = any(key.startswith('head.') for key in wanted)
    if not has_classifier:
        for key, name in list(result.used.items()):
            if name.startswith('head.'):
                result.skipped.append(key)
                del result.used[key], state[name]
    missing, unknown, reshaped = compare_tensors(wanted, state)
    if missing and all(not key.startswith('backbone.') for key in missing) and not unknown and not reshaped:
        raise UserError(
            f'{src}: it has only the backbone of {config} ({len(missing)} tensors are missing, first: {missing[0]}); '
            "convert it without a config and use the file as the backbone's init_cfg"
        )
    if missing or unknown or reshaped:
        example = (reshaped or missing or unknown)[0]
        detail = f'{tuple(state[example].shape)} against {tuple(wanted[example].shape)}' if reshaped else 'only in one'
        raise UserError(
            f'{src} does not fit {config}: {len(missing)} tensors missing, {len(unknown)} unknown, {len(reshaped)} of '
            f'another shape (first: {example}, {detail})'
        )
    model.load_state_dict(state, strict=False)
    if cfg.get('default_scope') in TASKS:
        names = resolve_config(cfg).classes
        # Where the data have no names, they are the numbers.
        result.classes = result.classes or (None if names == tuple(map(str, range(len(names)))) else names)
    # Detectors squash every image to one size.
    squashed = [step.scale for step in cfg.get('test_pipeline', ()) if step.get('keep_ratio') is False]
    width, height = result.input_size or (squashed[0] if squashed else (224, 224))
    with torch.no_grad():
        outputs = model(torch.zeros(1, 3, height, width), mode='tensor')
    result.shapes = [tuple(tensor.shape) for tensor in flatten_tensors(outputs)]


def _write_checkpoint(
    state: dict[str, Tensor], result: Conversion, src: str | Path, dst: Path, config: str | Path | None
) -> None:
    """Write both files under temporary names and rename them."""
    from safetensors.torch import save_file

    meta: dict[str, Any] = dict(
        source=Path(src).name,
        source_sha256=sha256(src),
        kind=result.kind,
        widen_factor=result.widen_factor,
        config=str(config) if config else None,
        input_size=list(result.input_size) if result.input_size else None,
    )
    if result.classes:
        meta['dataset_meta'] = dict(classes=list(result.classes))
    dst.parent.mkdir(parents=True, exist_ok=True)
    other = dst.with_suffix('.safetensors')
    # Neither file is renamed before both are complete.
    with atomic_path(dst) as partial, atomic_path(other) as other_partial:
        torch.save(dict(state_dict=state, meta=meta), partial)
        save_file(state, other_partial, metadata=dict(lcnet_mm=json.dumps(meta)))
    result.files = [dst, other]
