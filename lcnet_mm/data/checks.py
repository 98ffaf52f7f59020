"""Checking all data that a config names, before anything is built."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from mmengine.config import Config, ConfigDict

from ..utils.errors import UserError
from .across import (
    SPLITS,
    check_batch,
    check_checkpoint,
    check_classes,
    check_evaluators,
    check_paths,
)
from .classes import innermost_datasets
from .report import DataFacts, Findings, Report
from .sources import inspect_dataset
from .splits import check_shared

__all__ = ['SPLITS', 'check_data', 'check_trained_classes', 'inspect_config']

# With more images the cheap check does not compare the contents of the splits' files.
_CHEAP_COMPARED = 20_000


def check_data(cfg: Config, splits: Sequence[str]) -> Report:
    """Check the data of a config as far as it is cheap, and refuse what would go wrong.

    All of the annotations are read, a sample of the images' headers and of the label maps. Of several processes the
    first one does it.

    Args:
        cfg: A config of any mm library.
        splits: Some of 'train', 'val' and 'test'; a split without a dataloader is passed over.

    Returns:
        What would be used, and what is suspicious.

    Raises:
        UserError: there is an error; the first one is named.
    """
    if _process_number() > 0:
        return Report()
    report = inspect_config(cfg, splits)
    _refuse_errors(report)
    return report


def check_trained_classes(cfg: Config, meta: dict[str, Any], split: str) -> Report:
    """Compare the classes of a checkpoint with those of the data that it is evaluated on.

    Args:
        cfg: A config of any mm library.
        meta: ``meta`` of the checkpoint.
        split: 'train', 'val' or 'test'.

    Returns:
        A warning where the names differ.

    Raises:
        UserError: the names are the same in another order.
    """
    findings, report = Findings(split), Report()
    check_checkpoint(cfg, meta, split, findings)
    report.add(findings)
    _refuse_errors(report)
    return report


def _refuse_errors(report: Report) -> None:
    """Raise a UserError with the first error of a report."""
    errors = report.errors
    if errors:
        first = errors[0]
        text = first.sentence()
        prefix = '' if text.startswith(f'{first.source} data') else f'{first.source} data: '
        more = f' ({len(errors) - 1} more kinds of errors; lcnet check lists all)' if len(errors) > 1 else ''
        raise UserError(f'{prefix}{text}{more}')


def inspect_config(
    cfg: Config,
    splits: Sequence[str] = tuple(SPLITS),
    *,
    cheap: bool = True,
    decode: bool = False,
) -> Report:
    """Check the data of a config, each data set by itself and all against each other.

    Args:
        cfg: A config of any mm library.
        splits: Some of 'train', 'val' and 'test'; a split without a dataloader is passed over.
        cheap: Whether to look into a sample of the images and label maps only.
        decode: Whether to decode all images.

    Returns:
        All findings; each has its split as source.

    Raises:
        UserError: the classes of a data set are not a list of names.
    """
    report = Report()
    seen: list[tuple[ConfigDict, DataFacts | None]] = []
    known: list[tuple[str, DataFacts]] = []
    for split in splits:
        loader = cfg.get(SPLITS[split])
        if not loader:
            continue
        findings = Findings(split)
        counts: dict[int, int] = {}
        for dataset in innermost_datasets(loader.dataset):
            earlier = next((facts for other, facts in seen if other == dataset), None)
            if earlier is not None:
                earlier.summary.split += '' if split in earlier.summary.split else f', {split}'
                continue
            if not check_paths(dataset, split, findings):
                continue
            check_classes(cfg, dataset, split, findings)
            facts = inspect_dataset(cfg, dataset, split, findings, cheap=cheap, decode=decode)
            seen.append((dataset, facts))
            if facts is not None:
                facts.summary.split = split
                counts[id(dataset)] = facts.summary.used
                known.append((split, facts))
                report.summaries.append(facts.summary)
        check_batch(loader, split, counts, findings)
        check_evaluators(cfg, split, findings)
        report.add(findings)
    findings = Findings('all')
    check_shared(known, findings, max_files=_CHEAP_COMPARED if cheap else None)
    report.add(findings)
    return report


def _process_number() -> int:
    """Return the number of this process in a distributed run, as the launchers say it; 0 in any other."""
    for variable in ('RANK', 'SLURM_PROCID', 'OMPI_COMM_WORLD_RANK'):
        if os.environ.get(variable, '').isdigit():
            return int(os.environ[variable])
    return 0
