"""Which names of a config something reads: the arguments of what it builds, and the fields of mmengine's runner."""

from __future__ import annotations

import ast
import difflib
import inspect
import textwrap
from collections.abc import Callable, Collection, Iterable
from functools import cache, partial
from typing import Any, NamedTuple

from mmengine.runner import Runner
from torch import nn
from torch.utils.data import DataLoader

# Names that mmengine takes out of a dict before it builds from it.
BUILD_KEYS = frozenset({'type', '_scope_', '_delete_'})
# Names that mmengine's runner, its hooks, the mm libraries or this package read besides the runner's arguments.
_MORE_FIELDS = (
    *('activation_checkpointing', 'compile', 'custom_imports', 'efficient_conv_bn_eval', 'find_unused_parameters'),
    *('model_wrapper_cfg', 'runner_type', 'strategy', 'sync_bn', 'tta_model', 'tta_pipeline'),
    'allow_partial_weights',
)
_DATALOADER_KEYS = (
    *('dataset', 'sampler', 'batch_sampler', 'collate_fn', 'worker_init_fn', 'num_batch_per_epoch'),
    'disable_subprocess_warning',
)
_PARAMWISE_KEYS = (
    *('custom_keys', 'bias_lr_mult', 'bias_decay_mult', 'norm_decay_mult', 'flat_decay_mult', 'dwconv_decay_mult'),
    *('dcn_offset_lr_mult', 'bypass_duplicate'),
)
# Two names that are this similar are the same name with a slip; none of the mm libraries' own configs has such a pair.
_SLIP = 0.85
# What is offered as the name that was meant.
_NEAR = 0.6


class Arguments(NamedTuple):
    """Names that a dict of a config may have.

    Attributes:
        names: The known ones.
        closed: Whether any other is an error; something else may be handed on to code that is not known here.
        ignored: Whether others are accepted and then ignored.
    """

    names: frozenset[str]
    closed: bool
    ignored: bool = False


def runner_fields() -> frozenset[str]:
    """Return the names at the top of a config that something reads."""
    return frozenset(inspect.signature(Runner.__init__).parameters).union(_MORE_FIELDS) - {'self', 'cfg'}


def dataloader_arguments() -> Arguments:
    """Return the names of a ``train_dataloader``."""
    names = frozenset(inspect.signature(DataLoader.__init__).parameters) - {'self'}
    return Arguments(names.union(_DATALOADER_KEYS), True)


# Dicts that no class is built from, by their place; the parts of a place that are numbers or names of hooks are '*'.
PLAIN_DICTS: dict[str, Arguments] = {
    'auto_scale_lr': Arguments(frozenset({'enable', 'base_batch_size'}), True),
    'custom_imports': Arguments(frozenset({'imports', 'allow_failed_imports'}), True),
    'env_cfg': Arguments(frozenset({'cudnn_benchmark', 'mp_cfg', 'dist_cfg', 'resource_limit'}), True),
    'env_cfg.mp_cfg': Arguments(frozenset({'mp_start_method', 'opencv_num_threads'}), True),
    'env_cfg.dist_cfg': Arguments(frozenset({'backend', 'timeout', 'init_backend', 'port'}), False),
    'randomness': Arguments(frozenset({'seed', 'deterministic', 'diff_rank_seed'}), True),
    'optim_wrapper.clip_grad': Arguments(
        frozenset({'type', 'max_norm', 'norm_type', 'error_if_nonfinite', 'foreach', 'clip_value'}), True
    ),
    'optim_wrapper.paramwise_cfg': Arguments(frozenset(_PARAMWISE_KEYS), True),
    'optim_wrapper.paramwise_cfg.custom_keys.*': Arguments(frozenset({'lr_mult', 'decay_mult'}), False),
}
# Settings that the heads of the mm libraries read from a model's test_cfg and train_cfg, which have no signature.
_TEST_NAMES = (
    *('nms_pre', 'min_bbox_size', 'score_thr', 'nms', 'max_per_img', 'mode', 'crop_size', 'stride', 'multi_label'),
    *('mask_thr_binary', 'rpn', 'rcnn', 'iou_threshold', 'nms_across_levels', 'topk', 'with_nms', 'yolox_style'),
    *(
        'top_k',
        'max_per_image',
        'panoptic_on',
        'semantic_on',
        'instance_on',
        'iou_thr',
        'filter_low_score',
        'local_maximum_kernel',
    ),
)
_TRAIN_NAMES = (
    *('assigner', 'sampler', 'allowed_border', 'pos_weight', 'debug', 'rpn', 'rpn_proposal', 'rcnn', 'epoch', 'alpha'),
    *('beta', 'static_epoch', 'static_assigner', 'initial_epoch', 'initial_assigner', 'augments', 'probs'),
    *('smoothl1_beta', 'mask_size', 'num_points', 'oversample_ratio', 'importance_sample_ratio'),
)
PLAIN_MODEL_DICTS = {
    'test_cfg': Arguments(frozenset(_TEST_NAMES), False),
    'train_cfg': Arguments(frozenset(_TRAIN_NAMES), False),
    'nms': Arguments(
        frozenset({'type', 'iou_threshold', 'class_agnostic', 'split_thr', 'max_num', 'score_threshold', 'min_score'}),
        False,
    ),
}
# Dicts whose keys are data.
FREE_DICTS = ('metainfo', 'data_prefix', 'custom_keys', 'default_hooks', 'mapping', 'img_norm_cfg')
# Dicts with a type from which a layer takes some names before it builds the rest.
HANDLED_DICTS = ('dcn', 'conv_cfg', 'upsample_cfg')


@cache
def arguments_of(built: Callable[..., Any]) -> Arguments:
    """Return the names that may be handed to a class or function, following ``**kwargs`` to the parent classes."""
    if isinstance(built, partial):
        inner = arguments_of(built.func)
        return Arguments(inner.names - set(built.keywords), inner.closed)
    if not inspect.isclass(built):
        return _of_function(built)
    names: set[str] = set()
    closed, ignored = True, False
    for base in built.__mro__:
        if base in (nn.Module, object):
            break
        constructor = base.__dict__.get('__init__')
        if constructor is None:
            continue
        try:
            found = _keywords(constructor)
        except (ValueError, TypeError):
            return Arguments(frozenset(names), False)
        names |= found.names
        if not closed:
            continue
        if found.variable is None:
            break
        use = _use_of(constructor, found.variable)
        names |= use.names
        # From here on, the parents' names count although they may not be reached in this order.
        closed, ignored = use.forwarded and not use.elsewhere, not use.forwarded and not use.elsewhere
    return Arguments(frozenset(names), closed, ignored)


def _of_function(function: Callable[..., Any]) -> Arguments:
    try:
        found = _keywords(function)
    except (ValueError, TypeError):
        return Arguments(frozenset(), False)
    return Arguments(frozenset(found.names), found.variable is None)


class _Keywords(NamedTuple):
    names: set[str]
    variable: str | None


def _keywords(function: Callable[..., Any]) -> _Keywords:
    """Return the names that a function takes as keywords, and the name of its ``**kwargs``."""
    parameters = inspect.signature(function).parameters.values()
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    variable = next((p.name for p in parameters if p.kind is inspect.Parameter.VAR_KEYWORD), None)
    return _Keywords({p.name for p in parameters if p.kind in kinds} - {'self'}, variable)


class _Use(NamedTuple):
    names: set[str]
    forwarded: bool
    elsewhere: bool


def _use_of(constructor: Callable[..., Any], variable: str) -> _Use:
    """Say what a constructor does with its ``**kwargs``.

    Returns:
        The names that it reads itself, whether it hands them to another constructor, and whether it does anything else
        with them, so that they may be called anything.
    """
    try:
        source = textwrap.dedent(inspect.getsource(inspect.unwrap(constructor)))
        tree = ast.parse(source)
    except (OSError, TypeError, SyntaxError):
        return _Use(set(), False, True)
    names: set[str] = set()
    forwarded, understood = False, set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if node.func.attr == '__init__' and _is_plain_super(node.func.value):
                for keyword in node.keywords:
                    if keyword.arg is None and _is_name(keyword.value, variable):
                        forwarded = True
                        understood.add(keyword.value)
            elif node.func.attr in ('get', 'pop', 'setdefault') and _is_name(node.func.value, variable) and node.args:
                names |= _text(node.args[0])
                understood.add(node.func.value)
        elif isinstance(node, ast.Subscript) and _is_name(node.value, variable):
            names |= _text(node.slice)
            understood.add(node.value)
        elif isinstance(node, ast.Compare) and node.comparators and _is_name(node.comparators[0], variable):
            names |= _text(node.left)
            understood.add(node.comparators[0])
    uses = [node for node in ast.walk(tree) if _is_name(node, variable)]
    return _Use(names, forwarded, any(node not in understood for node in uses))


def _is_plain_super(node: ast.AST) -> bool:
    """Whether an expression is ``super()``: with arguments it may skip parents, and a class by its name too."""
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.args


def _is_name(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _text(node: ast.AST) -> set[str]:
    return {node.value} if isinstance(node, ast.Constant) and isinstance(node.value, str) else set()


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that is most like a wrong one, or None if none is like it.

    >>> nearest('lrr', ['lr', 'momentum'])
    'lr'
    """
    found = difflib.get_close_matches(name, sorted(known), n=1, cutoff=_NEAR)
    return found[0] if found else None


def slip_of(name: str, known: Collection[str]) -> str | None:
    """Return the known name that a name differs from by a slip of the keyboard; None if it may be meant as it is.

    >>> slip_of('train_dataloder', ['train_dataloader', 'train_cfg'])
    'train_dataloader'
    >>> slip_of('train_pipeline', ['train_dataloader', 'train_cfg']) is None
    True
    """
    # Copies with a suffix are meant, and pipelines are variables.
    if name in known or name.endswith('_pipeline') or any(name.startswith(f'{other}_') for other in known):
        return None
    if name.rstrip('0123456789') in known:
        return None
    found = difflib.get_close_matches(name, sorted(known), n=1, cutoff=_SLIP)
    return found[0] if found else None
