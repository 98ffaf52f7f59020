"""Evaluating a checkpoint with the metrics of its config."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.evaluator import DumpResults

from ..data.classes import dataset_classes, shorten
from ..data.spec import datasets_of
from ..utils.checkpoint import load_weights
from ..utils.errors import UserError
from ..weights.cache import local_checkpoint
from .train import build_runner, use_available_device


def test(
    cfg: Config,
    checkpoint: str | Path,
    *,
    work_dir: str | Path,
    out: str | Path | None = None,
    show_dir: str | Path | None = None,
    launcher: str = 'none',
) -> dict[str, Any]:
    """Evaluate a checkpoint on the test split.

    Args:
        cfg: The config that it was trained with.
        checkpoint: The checkpoint, or ``lcnet://NAME``; every tensor must fit.
        work_dir: Folder of the logs.
        out: Where to write all predictions, ``.pkl``.
        show_dir: Folder, inside ``work_dir/TIMESTAMP``, for images with the predictions.
        launcher: 'none', 'pytorch', 'slurm' or 'mpi'.

    Returns:
        The metrics by name.

    Raises:
        UserError: the data, the config or the checkpoint is wrong, or the checkpoint has the classes in another order.
    """
    cfg.work_dir = str(work_dir)
    cfg.resume = False
    cfg.load_from = None
    use_available_device(cfg, launcher)
    if out is not None and Path(out).suffix not in ('.pkl', '.pickle'):
        raise UserError(f'the file of all predictions must end with .pkl or .pickle, got {out}')
    if show_dir is not None:
        hook = cfg.default_hooks.get('visualization')
        if hook is None:
            raise UserError('drawing the predictions needs a config with default_hooks.visualization')
        hook.draw = True
        hook.test_out_dir = str(show_dir)
    runner = build_runner(cfg, ('test',))
    check_class_order(cfg, load_weights(runner.model, local_checkpoint(checkpoint)))
    if out is not None:
        runner.test_evaluator.metrics.append(DumpResults(out_file_path=str(out)))
    metrics: dict[str, Any] = runner.test()
    return metrics


def check_class_order(cfg: Config, meta: dict[str, Any]) -> None:
    """Check that the labels of a checkpoint and of the test data are the same.

    Args:
        cfg: The config.
        meta: ``meta`` of the checkpoint.

    Raises:
        UserError: both have the same classes in another order, so that every result would be wrong.
    """
    trained = (meta.get('dataset_meta') or {}).get('classes')
    if not trained:
        return
    for dataset in datasets_of(cfg, 'test'):
        names = dataset_classes(cfg, dataset)
        if names and list(names) != list(trained) and sorted(names) == sorted(trained):
            raise UserError(
                f'the checkpoint has the classes of the test data in another order: {shorten(list(trained))}; bring '
                'the labels of the test data into this order'
            )


# The name is the field's; pytest must not collect it where it is imported.
test.__test__ = False  # type: ignore[attr-defined]
