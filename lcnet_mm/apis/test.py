"""Evaluating a checkpoint with the metrics of its config."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.evaluator import DumpResults

from ..data.checks import check_trained_classes
from ..data.spec import resolve_config
from ..engine.loading import name_files_in_errors
from ..engine.progress import ProgressHook, one_line_errors
from ..reports import ReportMetric, check_report_folder, write_report
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
    report: str | Path | None = None,
    launcher: str = 'none',
) -> dict[str, Any]:
    """Evaluate a checkpoint on the test split.

    Args:
        cfg: The config that it was trained with.
        checkpoint: The checkpoint, or ``lcnet://NAME``; every tensor must fit.
        work_dir: Folder of the logs.
        out: Where to write all predictions, ``.pkl``.
        show_dir: Folder, inside ``work_dir/TIMESTAMP``, for images with the predictions.
        report: Folder for ``report.html`` and ``report.json``: metrics by class, curves, confusions, the worst images,
            and the latency of the checkpoint's export.
        launcher: 'none', 'pytorch', 'slurm' or 'mpi'.

    Returns:
        The metrics by name.

    Raises:
        UserError: the data, the config or the checkpoint is wrong, ``report`` is a folder with other files, or the
            evaluation fails; the log file in the work dir has the traceback.
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
    if report is not None:
        check_report_folder(report)
    if cfg.get('test_dataloader') is None:
        raise UserError('the config has no test_dataloader, test_cfg and test_evaluator to evaluate with')
    check_options(cfg)
    runner = build_runner(cfg, ('test',))
    progress = ProgressHook()
    with one_line_errors(runner, progress):
        classes = check_trained_classes(cfg, load_weights(runner.model, local_checkpoint(checkpoint)), 'test')
        for finding in classes.warnings:
            runner.logger.warning(finding.sentence())
        with as_user_error('the test data cannot be loaded', *BUILD_ERRORS):
            loader = runner.build_dataloader(runner._test_dataloader, seed=runner.seed)  # type: ignore[arg-type]
        dataset: Any = loader.dataset
        name_files_in_errors(dataset)
        runner._test_dataloader = loader
        with as_user_error('the evaluation cannot be built', *BUILD_ERRORS):
            evaluator = runner.test_evaluator
        if out is not None:
            evaluator.metrics.append(DumpResults(out_file_path=str(out)))
        collected = None
        if report is not None:
            collected = ReportMetric(resolve_config(cfg).task, len(dataset.metainfo['classes']))
            evaluator.metrics.append(collected)
        progress.doing = 'the evaluation on the test data failed'
        runner.register_hook(progress)
        metrics: dict[str, Any] = runner.test()
        if report is not None and collected is not None and is_main_process():
            progress.doing = 'the report cannot be made'
            coco = next((metric for metric in evaluator.metrics if hasattr(metric, '_coco_api')), None)
            page = write_report(report, cfg, local_checkpoint(checkpoint), metrics, collected, dataset, coco)
            runner.logger.info(f'The report is {page}')
    return metrics


# The name is the field's; pytest must not collect it where it is imported.
test.__test__ = False  # type: ignore[attr-defined]
