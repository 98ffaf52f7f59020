"""The names of the tensors of PP-LCNetV2 (PaddleClas, timm) and of MobileSeg (PaddleSeg) in this project's models."""

from __future__ import annotations

import re
from collections.abc import Set as AbstractSet

from ..backbones.mobilenet_v3 import BLOCKS, split_stages
from .names import UnknownKeyError

_V2_BLOCK = re.compile(r'(stem\.|stages\.|stage)(\d)\.(.+)')
# Of a block: PaddleClas' and timm's names of a module, and the one here.
_V2_MODULES = [
    (r'dw_conv_list\.', 'dw_conv.branches.'),
    (r'dw_conv\.(weight|bias)$', r'dw_conv.conv.\1'),
    (r'pw_conv_1\.', 'pw_conv.0.'),
    (r'pw_conv_2\.', 'pw_conv.1.'),
    (r'se\.fc([12])\.', r'se.conv\1.'),
]


def is_folded(names: AbstractSet[str]) -> bool:
    """Return whether the tensors of a PP-LCNetV2 are those of a network whose branches are folded."""
    return not any('.dw_conv_list.' in name for name in names)


def rename_v2_key(key: str, names: AbstractSet[str]) -> str | None:
    """Return the name of a tensor of PP-LCNetV2, in the file of PaddleClas or of timm.

    Args:
        key: The name in the file.
        names: All names in the file.

    Returns:
        The name, or None for the place of the folded convolution that an unfolded network of PaddleClas has and does
        not use.

    Raises:
        UnknownKeyError: PP-LCNetV2 has no such tensor.
    """
    head = re.fullmatch(r'(conv_head|last_conv|classifier|fc)\.(weight|bias)', key)
    if head:
        return f'head.{"last_conv" if "conv" in head[1] else "fc"}.{head[2]}'
    match = _V2_BLOCK.fullmatch(key)
    if not match:
        raise UnknownKeyError(f'{key} is no tensor of PP-LCNetV2')
    kind, index, rest = match[1], int(match[2]), match[3]
    if kind == 'stem.':
        prefix = f'stem.{index}.'
    else:
        block, rest = rest.split('.', 1)
        # timm and newer files of PaddleClas count from 0, older ones from 1.
        prefix = f'stage{index + (kind == "stages.")}.{block}.'
        in_file = f'{match[1]}{index}.{block}.'
        if re.fullmatch(r'dw_conv\.(weight|bias)', rest) and f'{in_file}dw_conv_list.0.conv.weight' in names:
            return None
    for pattern, replacement in _V2_MODULES:
        rest = re.sub(f'^{pattern}', replacement, rest)
    return f'backbone.{prefix}{rename_statistics(rest)}'


def rename_statistics(key: str) -> str:
    """Return a name with PyTorch's names of the batch norm statistics."""
    return re.sub(r'\._mean$', '.running_mean', re.sub(r'\._variance$', '.running_var', key))


# Of PaddleSeg's MobileSeg, the head. "piontwise" is its spelling.
_SEPARABLE = [
    (r'depthwise_conv\._conv\.', 'dw_conv.conv.'),
    (r'depthwise_conv\._batch_norm\.', 'dw_conv.bn.'),
    (r'piontwise_conv\._conv\.', 'pw_conv.conv.'),
    (r'piontwise_conv\._batch_norm\.', 'pw_conv.bn.'),
]
_MOBILESEG = [
    *_SEPARABLE,
    (r'^ppseg_head\.cm\.stages\.(\d)\.1\._conv\.', r'decode_head.context.bins.\1.conv.'),
    (r'^ppseg_head\.cm\.stages\.(\d)\.1\._batch_norm\.', r'decode_head.context.bins.\1.bn.'),
    (r'^ppseg_head\.cm\.conv_out\.', 'decode_head.context.conv_out.'),
    (r'^ppseg_head\.arm_list\.(\d)\.conv_x\.', r'decode_head.fusions.\1.conv_low.'),
    (r'^ppseg_head\.arm_list\.(\d)\.conv_out\.', r'decode_head.fusions.\1.conv_out.'),
    (r'^ppseg_head\.arm_list\.(\d)\.conv_xy_atten\.(\d)\._conv\.', r'decode_head.fusions.\1.attention.\2.conv.'),
    (r'^ppseg_head\.arm_list\.(\d)\.conv_xy_atten\.(\d)\._batch_norm\.', r'decode_head.fusions.\1.attention.\2.bn.'),
    (r'^seg_heads\.(\d)\.conv\.', r'decode_head.predictors.\1.conv.'),
    (r'^seg_heads\.(\d)\.conv_out\.', r'decode_head.predictors.\1.conv_out.'),
]
# Of PaddleSeg's MobileNetV3: the modules of a block.
_MOBILENET_MODULES = [('bottleneck_conv.', 'dw_conv.'), ('mid_se.', 'se.'), ('linear_conv.', 'project_conv.')]
_MOBILENET_PLACES = {
    f'blocks.{index}': f'blocks{stage + 2}.{position}'
    for index, (stage, position) in enumerate(
        (stage, position)
        for stage, members in enumerate(split_stages(BLOCKS['large']))
        for position in range(len(members))
    )
}


def rename_mobileseg_key(key: str) -> str:
    """Return the name of a tensor of PaddleSeg's MobileSeg on PP-LCNet or MobileNetV3-large.

    Raises:
        UnknownKeyError: they have no such tensor.
    """
    name = rename_statistics(key)
    if name.startswith('backbone.'):
        return f'backbone.{_rename_backbone(name.removeprefix("backbone."))}'
    for pattern, replacement in _MOBILESEG:
        name = re.sub(pattern, replacement, name)
    if not name.startswith('decode_head.') or '._conv.' in name or '._batch_norm.' in name:
        raise UnknownKeyError(f'{key} is no tensor of MobileSeg')
    return name


def _rename_backbone(name: str) -> str:
    """Return the name of a tensor of a backbone of PaddleSeg, without ``backbone.``."""
    if re.match(r'(conv1|blocks[2-6])\.', name):
        return name
    if name.startswith('conv.'):
        return f'conv1.{name.removeprefix("conv.")}'
    match = re.fullmatch(r'(blocks\.\d+)\.(.+)', name)
    if not match or match[1] not in _MOBILENET_PLACES:
        raise UnknownKeyError(f'backbone.{name} is no tensor of PP-LCNet or MobileNetV3-large')
    rest = match[2]
    for theirs, ours in _MOBILENET_MODULES:
        rest = re.sub(f'^{re.escape(theirs)}', ours, rest)
    return f'{_MOBILENET_PLACES[match[1]]}.{rest}'
