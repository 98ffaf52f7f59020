"""Train configs with several seeds and compare a metric."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from mmengine.logging import print_log
from tqdm import tqdm

from ..utils.config import load_config
from ..utils.errors import UserError
from ..utils.files import write_json
from .records import RECORD_FILE, find_change, record_config
from .test import test
from .train import newest_checkpoint, train

# In the folder of a run: its metrics, once it is complete.
_METRICS_FILE = 'metrics.json'


@dataclass
class Comparison:
    """Results of several configs.

    Attributes:
        metric: Name of the metric.
        seeds: The seeds.
        results: The values of the metric by config, one for each seed.
    """

    metric: str
    seeds: list[int]
    results: dict[str, list[float]] = field(default_factory=dict)

    def rows(self) -> list[dict[str, Any]]:
        """Return a row per config: mean, spread and range of the metric, and the difference to the first config.

        The difference is taken between runs of equal seeds: ``difference`` is its mean, ``difference_std`` its
        standard deviation, and ``better`` the number of seeds with which the config is better than the first.
        """
        first = next(iter(self.results.values()))
        rows = []
        for name, values in self.results.items():
            differences = [value - other for value, other in zip(values, first, strict=True)]
            rows.append(
                dict(
                    name=name,
                    mean=mean(values),
                    std=_spread(values),
                    minimum=min(values),
                    maximum=max(values),
                    difference=mean(differences),
                    difference_std=_spread(differences),
                    better=sum(difference > 0 for difference in differences),
                )
            )
        return rows

    def to_dict(self) -> dict[str, Any]:
        """Return the comparison as JSON types."""
        return dict(metric=self.metric, seeds=self.seeds, results=self.results, rows=self.rows())

    def format_table(self) -> str:
        """Return the comparison as text."""
        rows = self.rows()
        width = max(len(row['name']) for row in rows)
        lines = [f'{self.metric}, {len(self.seeds)} seeds']
        lines.append(f'{"":<{width}}  {"mean":>7} {"std":>6} {"min":>7} {"max":>7}  {"to the first":>15}  better')
        for row in rows:
            difference = f'{row["difference"]:+.2f} ± {row["difference_std"]:.2f}'
            lines.append(
                f'{row["name"]:<{width}}  {row["mean"]:7.2f} {row["std"]:6.2f} {row["minimum"]:7.2f} '
                f'{row["maximum"]:7.2f}  {difference:>15}  {row["better"]}/{len(self.seeds)}'
            )
        return '\n'.join(lines)


def _spread(values: Sequence[float]) -> float:
    """Return the standard deviation of a sample; 0 for a single value."""
    return stdev(values) if len(values) > 1 else 0.0


def compare(
    configs: Sequence[str | Path],
    *,
    seeds: Sequence[int],
    work_dir: str | Path,
    metric: str = 'accuracy/top1',
    options: dict[str, Any] | None = None,
) -> Comparison:
    """Train and evaluate each config with each seed.

    A complete run is not repeated, and an interrupted run is resumed, as long as the config is the one that the run was
    started with, including its ``_base_`` files and ``options``. Where it has changed, the run is repeated: a warning
    says which one and why, and the folder of the earlier run is kept as ``NAME/seed_N_old``. Files that a config names,
    such as data and checkpoints, are not compared.

    Args:
        configs: Config files with different names.
        seeds: Seeds of the initialization and of the order of the images.
        work_dir: Folder of all runs, ``NAME/seed_N``.
        metric: Name of the metric to compare, as the evaluation returns it.
        options: Overrides of all configs.

    Returns:
        The comparison, which is also written to ``work_dir/comparison.json``.

    Raises:
        UserError: two configs have the same name, or an evaluation does not return the metric.
    """
    work_dir = Path(work_dir)
    names = [Path(config).stem for config in configs]
    if len(set(names)) < len(names):
        raise UserError(f'two configs are called {max(names, key=names.count)}; their runs need different names')
    comparison = Comparison(metric, list(seeds), {name: [] for name in names})
    runs = [(name, config, seed) for seed in seeds for name, config in zip(names, configs, strict=True)]
    for name, config, seed in tqdm(runs, desc='compare', unit='run'):
        folder = work_dir / name / f'seed_{seed}'
        metrics = _run(config, seed, folder, options or {})
        if metric not in metrics:
            raise UserError(f'the evaluation of {config} gives {", ".join(metrics) or "nothing"}, not {metric}')
        comparison.results[name].append(metrics[metric])
    write_json(work_dir / 'comparison.json', comparison.to_dict())
    return comparison


def _run(config: str | Path, seed: int, folder: Path, options: dict[str, Any]) -> dict[str, float]:
    """Train and evaluate a config with a seed, or read the metrics of a run that is complete."""
    # The log of each run is in its folder; the screen shows the progress only.
    options = {'log_level': 'WARNING', **options, 'randomness.seed': seed}
    metrics_file = folder / _METRICS_FILE
    cfg = load_config(config, options)
    started = any(file.is_file() for file in (folder / RECORD_FILE, metrics_file)) or newest_checkpoint(folder)
    if started and (reason := find_change(folder, cfg)):
        kept = _move_aside(folder)
        print_log(f'{folder} is trained again: {reason}; the earlier run is kept in {kept}', 'current', logging.WARNING)
    if metrics_file.is_file():
        result: dict[str, float] = json.loads(metrics_file.read_text())
        return result
    record_config(folder, cfg)
    train(cfg, work_dir=folder, resume='auto')
    checkpoint = newest_checkpoint(folder)
    assert checkpoint is not None
    metrics = test(load_config(config, options), checkpoint, work_dir=folder)
    metrics = {name: float(value) for name, value in metrics.items()}
    write_json(metrics_file, metrics)
    return metrics


def _move_aside(folder: Path) -> Path:
    """Rename a folder to ``NAME_old``, or ``NAME_old2`` and so on where that exists, and return the new path."""
    number, target = 1, folder.with_name(f'{folder.name}_old')
    while target.exists():
        number += 1
        target = folder.with_name(f'{folder.name}_old{number}')
    return folder.rename(target)
