"""Training configs with several seeds, and saying how far their differences can be trusted."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from tqdm import tqdm

from ..utils.config import load_config
from ..utils.errors import UserError
from ..utils.files import write_json
from .test import test
from .train import newest_checkpoint, train


@dataclass
class Comparison:
    """Results of several configs.

    Attributes:
        metric: Name of the metric.
        results: Its values by config, one for each seed.
        seeds: The seeds.
    """

    metric: str
    seeds: list[int]
    results: dict[str, list[float]] = field(default_factory=dict)

    def rows(self) -> list[dict[str, Any]]:
        """Mean, spread and difference to the first config, with the spread of the differences over equal seeds."""
        first = next(iter(self.results.values()))
        rows = []
        for name, values in self.results.items():
            differences = [value - other for value, other in zip(values, first, strict=True)]
            rows.append(
                dict(
                    name=name,
                    mean=mean(values),
                    std=spread(values),
                    minimum=min(values),
                    maximum=max(values),
                    difference=mean(differences),
                    difference_std=spread(differences),
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


def spread(values: Sequence[float]) -> float:
    """Return standard deviation of a sample; 0 for a single value."""
    return stdev(values) if len(values) > 1 else 0.0


def compare(
    configs: Sequence[str | Path],
    *,
    seeds: Sequence[int],
    work_dir: str | Path,
    metric: str = 'accuracy/top1',
    options: dict[str, Any] | None = None,
) -> Comparison:
    """Train and evaluate each config with each seed; runs that are complete are not repeated.

    Args:
        configs: Config files with different names.
        seeds: Seeds of the initialisation and of the order of the images.
        work_dir: Folder of all runs, ``NAME/seed_N``.
        metric: What of the evaluation is compared.
        options: Overrides of all configs.

    Returns:
        The comparison, which also stands in ``work_dir/comparison.json``.

    Raises:
        UserError: two configs have the same name, or an evaluation lacks the metric.
    """
    work_dir = Path(work_dir)
    names = [Path(config).stem for config in configs]
    if len(set(names)) < len(names):
        raise UserError(f'two configs are called {max(names, key=names.count)}; their runs need different names')
    comparison = Comparison(metric, list(seeds), {name: [] for name in names})
    runs = [(name, config, seed) for seed in seeds for name, config in zip(names, configs, strict=True)]
    for name, config, seed in tqdm(runs, desc='compare', unit='run'):
        folder = work_dir / name / f'seed_{seed}'
        metrics = run(config, seed, folder, options or {})
        if metric not in metrics:
            raise UserError(f'the evaluation of {config} gives {", ".join(metrics) or "nothing"}, not {metric}')
        comparison.results[name].append(metrics[metric])
    write_json(work_dir / 'comparison.json', comparison.to_dict())
    return comparison


def run(config: str | Path, seed: int, folder: Path, options: dict[str, Any]) -> dict[str, float]:
    """Train and evaluate a config with a seed, or read the metrics of a run that is complete."""
    done = folder / 'metrics.json'
    if done.is_file():
        result: dict[str, float] = json.loads(done.read_text())
        return result
    # The figures of each run stand in its folder; on the screen there is the progress.
    options = {'log_level': 'WARNING', **options, 'randomness.seed': seed}
    train(load_config(config, options), work_dir=folder, resume='auto')
    checkpoint = newest_checkpoint(folder)
    assert checkpoint is not None
    metrics = test(load_config(config, options), checkpoint, work_dir=folder)
    metrics = {name: float(value) for name, value in metrics.items()}
    write_json(done, metrics)
    return metrics
