"""Names of PaddleDetection's tensors in the detectors of this package."""

from __future__ import annotations

import re

# The first rule that matches the whole key renames it.
_BLOCK = (
    r'(?P<at>neck\.(?:downsamples\.\d|first_top_conv|second_top_conv'
    r'|(?:top_down|bottom_up)_blocks\.\d\.blocks\.0\.conv2))'
)
_RULES: list[tuple[str, str]] = [
    # Depthwise separable blocks of the necks.
    (_BLOCK + r'\.dwconv\.weight', r'\g<at>.dw_conv.conv.weight'),
    (_BLOCK + r'\.bn1\.(?P<rest>\w+)', r'\g<at>.dw_conv.bn.\g<rest>'),
    (_BLOCK + r'\.pwconv\.weight', r'\g<at>.pw_conv.conv.weight'),
    (_BLOCK + r'\.bn2\.(?P<rest>\w+)', r'\g<at>.pw_conv.bn.\g<rest>'),
    # The towers of the heads.
    (
        r'head\.conv_feat\.cls_conv_(?P<kind>dw|pw)(?P<level>\d)\.(?P<pair>\d)\.conv\.weight',
        r'bbox_head.towers.\g<level>.\g<pair>.\g<kind>_conv.conv.weight',
    ),
    (
        r'head\.conv_feat\.cls_conv_(?P<kind>dw|pw)(?P<level>\d)\.(?P<pair>\d)\.norm\.(?P<rest>\w+)',
        r'bbox_head.towers.\g<level>.\g<pair>.\g<kind>_conv.bn.\g<rest>',
    ),
    (r'head\.conv_feat\.se\.(?P<level>\d)\.fc\.(?P<rest>\w+)', r'bbox_head.gates.\g<level>.fc.\g<rest>'),
    (r'head\.conv_feat\.se\.(?P<level>\d)\.conv\.conv\.weight', r'bbox_head.gates.\g<level>.conv.conv.weight'),
    (r'head\.conv_feat\.se\.(?P<level>\d)\.conv\.norm\.(?P<rest>\w+)', r'bbox_head.gates.\g<level>.conv.bn.\g<rest>'),
    # The align branch.
    (r'head\.cls_align\.(?P<level>\d)\.dwconv\.weight', r'bbox_head.align.\g<level>.0.conv.weight'),
    (r'head\.cls_align\.(?P<level>\d)\.bn1\.(?P<rest>\w+)', r'bbox_head.align.\g<level>.0.bn.\g<rest>'),
    (r'head\.cls_align\.(?P<level>\d)\.pwconv\.weight', r'bbox_head.align.\g<level>.1.conv.weight'),
    (r'head\.cls_align\.(?P<level>\d)\.bn2\.(?P<rest>\w+)', r'bbox_head.align.\g<level>.1.bn.\g<rest>'),
]
_PREDICTORS = {
    1: [(r'head\.head_cls(?P<level>\d)\.(?P<rest>\w+)', r'bbox_head.predictors.\g<level>.\g<rest>')],
    2: [
        (r'head\.head_cls(?P<level>\d)\.(?P<rest>\w+)', r'bbox_head.cls_predictors.\g<level>.\g<rest>'),
        (r'head\.head_reg(?P<level>\d)\.(?P<rest>\w+)', r'bbox_head.reg_predictors.\g<level>.\g<rest>'),
    ],
}
# Parts of the remaining names are replaced one after the other.
_PIECES = [
    (r'^neck\.conv_t\.convs\.', 'neck.laterals.'),
    (r'^neck\.(top_down|bottom_up)_blocks\.', r'neck.\1.'),
    (r'^neck\.first_top_conv\.', 'neck.extra_from_lateral.'),
    (r'^neck\.second_top_conv\.', 'neck.extra_from_output.'),
    (r'\.blocks\.0\.conv1\.', '.block.0.'),
    (r'\.blocks\.0\.conv2\.', '.block.1.'),
    (r'\._mean$', '.running_mean'),
    (r'\._variance$', '.running_var'),
]
# Unused tensors of a base class, a constant, and second names of the same predictors
# (docs/specification/picodet.md#checkpoint-keys).
_SKIPPED = re.compile(
    r'head\.(p\d_feat\.scale_reg|distribution_project\.project|head_(cls|reg)_list\.\d\.\w+)|StructuredToParameterName@@'
)
_KNOWN = re.compile(r'(backbone|neck|bbox_head)\..+')


class UnknownKeyError(ValueError):
    """The name of a tensor that the network does not have."""


def rename_paddle_key(key: str, generation: int) -> str | None:
    """Return the name in this package of a tensor of PaddleDetection's PicoDet.

    Args:
        key: The name in the ``.pdparams`` file.
        generation: 1 for release 2.3, 2 for release 2.4.

    Returns:
        The name, or None for a tensor that is not needed.

    Raises:
        UnknownKeyError: PicoDet has no such tensor.
    """
    if _SKIPPED.fullmatch(key):
        return None
    name = key
    for pattern, replacement in [*_RULES, *_PREDICTORS[generation]]:
        if re.fullmatch(pattern, name):
            name = re.sub(pattern, replacement, name)
            break
    for pattern, replacement in _PIECES:
        name = re.sub(pattern, replacement, name)
    if not _KNOWN.fullmatch(name):
        raise UnknownKeyError(f'{key} is not a tensor of a PicoDet of generation {generation}')
    return name
