"""Evaluating a checkpoint with the metrics of its config."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.evaluator import DumpResults

from ..data.checks import check_trained_classes
from ..engine.loading import name_files_in_errors
from ..engine.progress import ProgressHook, one_line_errors
from ..utils.checkpoint import load_weights
from ..utils.errors import BUILD_ERRORS, UserError, as_user_error
from ..weights.cache import local_checkpoint
from .train import build_runner, check_options, use_available_device


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
        UserError: the data, the config or the checkpoint is wrong, or the evaluation fails; the log file in the work
            dir has the traceback.
    """
    cfg.work_dir = str(work_dir)
    cfg.resume = False
    cfg.load_from = None
    use_available_device(cfg, launcher)
    if out is not None and Path(out).suffix not in ('.pkl', '.pickle'):
        raise UserError(f'the file of all predictions must end with .pkl or .pickle, got {out}')
    if show_dir is not None:
        hook = (cfg.get('default_hooks') or {}).get('visualization')
        if hook is None:
            raise UserError('drawing the predictions needs a config with default_hooks.visualization')
        hook.draw = True
        hook.test_out_dir = str(show_dir)
    if cfg.get('test_dataloader') is None:
        raise UserError('the config has no test_dataloader, test_cfg and test_evaluator to evaluate with')
    check_options(cfg)
    runner = build_runner(cfg, ('test',))
    progress = ProgressHook()
    with one_line_errors(runner, progress):
        check_trained_classes(cfg, load_weights(runner.model, local_checkpoint(checkpoint)), 'test')
        with as_user_error('the test data cannot be loaded', *BUILD_ERRORS):
            loader = runner.build_dataloader(runner._test_dataloader, seed=runner.seed)  # type: ignore[arg-type]
        name_files_in_errors(loader.dataset)
        runner._test_dataloader = loader
        with as_user_error('the evaluation cannot be built', *BUILD_ERRORS):
            evaluator = runner.test_evaluator
        if out is not None:
            evaluator.metrics.append(DumpResults(out_file_path=str(out)))
        progress.doing = 'the evaluation on the test data failed'
        runner.register_hook(progress)
        metrics: dict[str, Any] = runner.test()
    return metrics


# The name is the field's; pytest must not collect it where it is imported.
test.__test__ = False  # type: ignore[attr-defined]
