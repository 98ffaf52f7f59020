"""Turning published weights into checkpoints of this project's models."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..backbones import PPLCNet
from ..utils.config import load_config
from ..utils.errors import UserError
from ..utils.files import atomic_path, is_same_file, sha256
from ..utils.models import build_model
from .names import UnknownKeyError, rename_paddle_key
from .reading import read_tensors

# PaddleClas's dropout scales at inference, PyTorch's in training: the linear layer absorbs the factor
# (docs/specification/pplcnet.md#dropout).
PADDLE_DROPOUT_KEEP = 0.8
PUBLISHED_WIDTHS = (0.25, 0.35, 0.5, 0.75, 1.0, 1.5, 2.0, 2.5)


@dataclass
class Conversion:
    """What :func:`convert_weights` did.

    Attributes:
        kind: What the source was recognised as.
        widen_factor: The backbone's width.
        used: Source name of every tensor that was taken, and its name here.
        skipped: Source names that the model does not need.
        files: The files that were written.
        shapes: With a config, the shapes of the model's outputs.
    """

    kind: str
    widen_factor: float | None
    used: dict[str, str] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    shapes: list[tuple[int, ...]] = field(default_factory=list)

    def format(self) -> str:
        """Return the report as text."""
        lines = [f'{self.kind}' + (f', width {self.widen_factor}' if self.widen_factor else '')]
        lines.append(f'  {len(self.used)} tensors used, {len(self.skipped)} skipped, 0 missing')
        lines += [f'  skipped: {name}' for name in self.skipped]
        lines += [f'  output: {shape}' for shape in self.shapes]
        lines += [f'  wrote {file}' for file in self.files]
        return '\n'.join(lines)


def rename_classifier_key(key: str) -> str:
    """Return the name of a tensor of PaddleClas's PP-LCNet."""
    if re.match(r'(last_conv|fc)\.', key):
        return f'head.{key}'
    if not re.match(r'(conv1|blocks[2-6])\.', key):
        raise UnknownKeyError(f'{key} is no tensor of PP-LCNet')
    return 'backbone.' + key.replace('._mean', '.running_mean').replace('._variance', '.running_var')


def rename_timm_key(key: str) -> str:
    """Return the name of a tensor of timm's LCNet, which has the stage of stride 16 in two."""
    key = re.sub(r'^conv_stem\.', 'conv1.conv.', key)
    key = re.sub(r'^bn1\.', 'conv1.bn.', key)
    key = re.sub(r'^conv_head\.', 'head.last_conv.', key)
    key = re.sub(r'^classifier\.', 'head.fc.', key)
    if key.startswith('head.'):
        return key
    block = re.match(r'^blocks\.(\d)\.(\d)\.(.+)', key)
    if block:
        stage, index, rest = int(block[1]), int(block[2]), block[3]
        # timm cuts the stage of stride 16 after its second block.
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
        raise UnknownKeyError(f"{key} is no tensor of timm's LCNet")
    return f'backbone.{key}'


def recognise(names: set[str]) -> tuple[str, Callable[[str], str | None]]:
    """Tell from its tensors' names what a file is, and how they are renamed.

    Raises:
        UserError: it is none of the known networks.
    """
    if 'conv_stem.weight' in names:
        return 'timm LCNet', rename_timm_key
    if 'head.head_reg0.weight' in names:
        return 'PaddleDetection PicoDet, generation 2', lambda key: rename_paddle_key(key, 2)
    if 'head.head_cls0.weight' in names:
        return 'PaddleDetection PicoDet, generation 1', lambda key: rename_paddle_key(key, 1)
    if 'conv1.conv.weight' in names and 'blocks2.0.dw_conv.conv.weight' in names:
        return 'PaddleClas PP-LCNet', rename_classifier_key
    raise UserError(
        'not a network that is known here (PaddleClas PP-LCNet, PaddleDetection PicoDet of generation 1 or 2, timm '
        f'LCNet); its first tensor is {min(names)}'
    )


def infer_width(state: dict[str, Tensor]) -> float:
    """Return the published width whose backbone has exactly these tensors.

    Raises:
        UserError: there is none; the closest width's first difference is named.
    """
    given = {
        key.removeprefix('backbone.'): tuple(value.shape)
        for key, value in state.items()
        if key.startswith('backbone.') and 'num_batches_tracked' not in key
    }
    differences = {}
    for width in PUBLISHED_WIDTHS:
        wanted = {
            key: tuple(value.shape)
            for key, value in PPLCNet(width, out_indices=-1).state_dict().items()
            if 'num_batches_tracked' not in key
        }
        wrong = sorted(key for key in wanted.keys() | given.keys() if wanted.get(key) != given.get(key))
        if not wrong:
            return width
        differences[width] = wrong
    width = min(differences, key=lambda candidate: len(differences[candidate]))
    first = differences[width][0]
    raise UserError(
        f'the backbone fits no published width; it is closest to {width}, but {len(differences[width])} tensors differ '
        f'(first: {first}, {given.get(first, "missing")})'
    )


def convert_weights(src: str | Path, dst: str | Path, config: str | Path | None = None) -> Conversion:
    """Convert a weight file; writes ``dst`` (``.pth``) and the same tensors as ``.safetensors`` beside it.

    Args:
        src: PaddleClas or PaddleDetection ``.pdparams``, or timm's ``.pth`` or ``.safetensors``.
        dst: The ``.pth`` file to write. ``torch.load(weights_only=True)`` reads it.
        config: A config whose model the tensors must fill completely; it is run once. Without one the backbone must be
            that of a published width.

    Returns:
        What was recognised, used and skipped.

    Raises:
        UserError: the source cannot be read, is another network, or does not fit; then no file is written.
    """
    dst = Path(dst)
    if dst.suffix != '.pth':
        raise UserError(f'the target {dst} must end with .pth')
    for target in (dst, dst.with_suffix('.safetensors')):
        if is_same_file(src, target):
            raise UserError(f'the target {target} is the source, which would be replaced; choose another name')
    source = strip_distillation(read_tensors(src))
    try:
        kind, rename = recognise(set(source))
        result = Conversion(kind, None)
        state: dict[str, Tensor] = {}
        for key, value in source.items():
            name = rename(key)
            if name is None:
                result.skipped.append(key)
                continue
            if name in state:
                raise UserError(f'{key} and another tensor both become {name}')
            state[name] = adapt(name, value, kind)
            result.used[key] = name
    except (UnknownKeyError, UserError) as error:
        raise UserError(f'{src}: {error}') from error
    try:
        if not any(key.startswith('backbone.blocks3.0.expand_conv') for key in state):
            result.widen_factor = infer_width(state)
    except UserError as error:
        if config is None:
            raise UserError(f'{src}: {error}') from error
    if config is not None:
        fit_to_config(state, result, src, config)
    write_checkpoint(state, result, src, dst, config)
    return result


def strip_distillation(source: dict[str, Tensor]) -> dict[str, Tensor]:
    """Keep the student of a checkpoint of a distillation."""
    if not any(key.startswith('Student.') for key in source):
        return source
    return {key.removeprefix('Student.'): value for key, value in source.items() if key.startswith('Student.')}


def adapt(name: str, value: Tensor, kind: str) -> Tensor:
    """Transpose and scale PaddleClas's linear layer; all other tensors stay."""
    if kind == 'PaddleClas PP-LCNet' and name == 'head.fc.weight':
        return value.T.contiguous() * PADDLE_DROPOUT_KEEP
    return value.clone()


def fit_to_config(state: dict[str, Tensor], result: Conversion, src: str | Path, config: str | Path) -> None:
    """Insist that the tensors fill the config's model, drop a classifier that it has not, and run it once."""
    cfg = load_config(config)
    model = build_model(cfg).eval()
    wanted = model.state_dict()
    has_classifier = any(key.startswith('head.') for key in wanted)
    if not has_classifier:
        for key, name in list(result.used.items()):
            if name.startswith('head.'):
                result.skipped.append(key)
                del result.used[key], state[name]
    missing = [key for key in wanted if key not in state and 'num_batches_tracked' not in key]
    unknown = [key for key in state if key not in wanted]
    reshaped = [key for key in state if key in wanted and state[key].shape != wanted[key].shape]
    if missing and all(not key.startswith('backbone.') for key in missing) and not unknown and not reshaped:
        raise UserError(
            f'{src}: it has the backbone of {config} only ({len(missing)} tensors are missing, first: {missing[0]}); '
            "convert it without a config and use the file as the backbone's init_cfg"
        )
    if missing or unknown or reshaped:
        example = (reshaped or missing or unknown)[0]
        detail = f'{tuple(state[example].shape)} against {tuple(wanted[example].shape)}' if reshaped else 'no partner'
        raise UserError(
            f'{src} does not fit {config}: {len(missing)} tensors missing, {len(unknown)} unknown, {len(reshaped)} of '
            f'another shape (first: {example}, {detail})'
        )
    model.load_state_dict(state, strict=False)
    # Detectors squash every image to one size.
    squashed = [step.scale for step in cfg.get('test_pipeline', ()) if step.get('keep_ratio') is False]
    width, height = squashed[0] if squashed else (224, 224)
    with torch.no_grad():
        outputs = model(torch.zeros(1, 3, height, width), mode='tensor')
    result.shapes = [tuple(tensor.shape) for tensor in flatten_tensors(outputs)]


def flatten_tensors(value: Any) -> list[Tensor]:
    """All tensors in nested tuples and lists."""
    if isinstance(value, Tensor):
        return [value]
    return [tensor for part in value for tensor in flatten_tensors(part)]


def write_checkpoint(
    state: dict[str, Tensor], result: Conversion, src: str | Path, dst: Path, config: str | Path | None
) -> None:
    """Write both files beside their place and rename them."""
    from safetensors.torch import save_file

    meta = dict(
        source=Path(src).name,
        source_sha256=sha256(src),
        kind=result.kind,
        widen_factor=result.widen_factor,
        config=str(config) if config else None,
    )
    dst.parent.mkdir(parents=True, exist_ok=True)
    other = dst.with_suffix('.safetensors')
    # Neither takes its place before both are complete.
    with atomic_path(dst) as partial, atomic_path(other) as other_partial:
        torch.save(dict(state_dict=state, meta=meta), partial)
        save_file(state, other_partial, metadata=dict(lcnet_mm=json.dumps(meta)))
    result.files = [dst, other]
