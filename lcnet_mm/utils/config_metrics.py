"""Whether what a config expects of its evaluation is what its metrics compute."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mmengine.config import Config
from mmengine.registry import METRICS

from .errors import UserError

# Names of results behind the prefix of a metric, where its arguments do not change them.
_COCO_ITEMS = ('mAP', 'mAP_50', 'mAP_75', 'mAP_s', 'mAP_m', 'mAP_l')


def check_metrics(cfg: Config) -> None:
    """Check that the best checkpoint is chosen by a metric that exists, and that no top-k exceeds the classes.

    Without it, both are found after the first evaluation, which may be hours later.

    Raises:
        UserError: they are not so.
    """
    metrics = {split: list(list_metrics(cfg.get(f'{split}_evaluator'))) for split in ('val', 'test')}
    for split, given in metrics.items():
        for metric in given:
            _check_topk(cfg, split, metric)
    hook = (cfg.get('default_hooks') or {}).get('checkpoint') or {}
    best = hook.get('save_best')
    if cfg.get('val_evaluator') is None:
        return
    for name in [best] if isinstance(best, str) else best or []:
        results = [_results(cfg, metric) for metric in metrics['val']]
        if name != 'auto' and all(known is not None for known in results):
            known = [result for part in results for result in part or ()]
            if name not in known and not any(result.endswith('/') and name.startswith(result) for result in known):
                raise UserError(
                    f'default_hooks.checkpoint.save_best is {name!r}, which val_evaluator does not compute; it has '
                    f'{", ".join(f"{result}…" if result.endswith("/") else result for result in known)}'
                )


def list_metrics(evaluator: Any) -> Iterator[dict[str, Any]]:
    """Yield the metrics of a ``val_evaluator`` or ``test_evaluator``, which may be one, a list, or in an evaluator."""
    for metric in evaluator if isinstance(evaluator, list | tuple) else [evaluator]:
        if isinstance(metric, dict):
            yield from list_metrics(metric['metrics']) if 'metrics' in metric else [metric]


def _check_topk(cfg: Config, split: str, metric: dict[str, Any]) -> None:
    topk = metric.get('topk')
    ks = topk if isinstance(topk, list | tuple) else [topk]
    model = cfg.model
    heads = [model.get('head'), (model.get('student') or {}).get('head')]
    counts = [head['num_classes'] for head in heads if isinstance(head, dict) and 'num_classes' in head]
    for k in ks:
        if isinstance(k, int) and counts and k > counts[0]:
            raise UserError(
                f'{split}_evaluator.topk asks for the best {k} of {counts[0]} classes; set {split}_evaluator.topk to '
                f'numbers up to {counts[0]}, for example (1,)'
            )


def _results(cfg: Config, metric: dict[str, Any]) -> list[str] | None:
    """Return the names of a metric's results, or the beginning of all of them; None where they are not known."""
    if not isinstance(metric.get('type'), str):
        return None
    kind = metric['type'].split('.')[-1]
    with METRICS.switch_scope_and_registry(cfg.get('default_scope')) as registry:
        found = registry.get(metric['type'])
    prefix = metric.get('prefix') or getattr(found, 'default_prefix', None)
    if kind == 'CocoMetric' and not metric.get('classwise') and not metric.get('metric_items'):
        kinds = metric.get('metric', 'bbox')
        kinds = [kinds] if isinstance(kinds, str) else kinds
        if 'proposal' not in kinds and 'proposal_fast' not in kinds:
            return [f'{prefix}/{part}_{item}' for part in kinds for item in _COCO_ITEMS]
    if kind == 'IoUMetric' and metric.get('iou_metrics', ['mIoU']) == ['mIoU'] and prefix is None:
        return ['aAcc', 'mIoU', 'mAcc']
    if kind == 'Accuracy' and not metric.get('thrs'):
        topk = metric.get('topk', 1)
        return [f'{prefix}/top{k}' for k in (topk if isinstance(topk, list | tuple) else [topk])]
    return [f'{prefix}/'] if isinstance(prefix, str) else None
