"""Training a config of any mm library."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.logging import print_log
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from ..data.checks import check_data
from ..data.classes import head_class_numbers
from ..data.local_copy import copy_data

# Importing the engine registers its loader of checkpoints, which any config needs to resume, and its wrapper for amp.
from ..engine.class_transfer import ClassTransferHook, fit_to_training_data
from ..engine.curves import CurvesHook
from ..engine.interruption import InterruptHook, use_resumable_loop
from ..engine.loading import name_files_in_errors
from ..engine.nonfinite import NonFiniteHook
from ..engine.patience import stop_early
from ..engine.progress import ProgressHook, one_line_errors
from ..engine.progress_bar import ProgressBarHook
from ..engine.resuming import ScheduleOnResumeHook
from ..engine.samples import SampleImagesHook
from ..engine.saving import use_keeping_checkpoints
from ..engine.vis_backends import add_vis_backends
from ..reports import check_report_folder
from ..utils.checkpoint import find_misfits, read_checkpoint
from ..utils.config_metrics import check_metrics
from ..utils.config_names import check_names
from ..utils.config_values import check_values, switch_off_workers
from ..utils.distributed import join_cpu_group
from ..utils.errors import BUILD_ERRORS, UserError, as_user_error, is_disk_full
from ..utils.models import unwrapped_model
from ..weights.cache import local_checkpoint
from .compilation import CompileHook, check_compilable


def default_work_dir(config: str | Path) -> str:
    """``work_dirs/NAME`` for a config ``…/NAME.py``, as in the mm tools."""
    return str(Path('work_dirs') / Path(config).stem)


def use_available_device(cfg: Config, launcher: str) -> None:
    """Let several processes train on CPUs: gloo instead of nccl, and no device ids for the model wrapper."""
    cfg.launcher = launcher
    if launcher == 'none' or torch.cuda.is_available():
        return
    join_cpu_group(launcher)
    # torch's SyncBatchNorm needs GPUs.
    cfg.sync_bn = None
    cfg.setdefault(
        'model_wrapper_cfg', dict(type='MMDistributedDataParallel', broadcast_buffers=False, device_ids=None)
    )


def enable_amp(cfg: Config) -> None:
    """Train under automatic mixed precision: float16 with loss scaling on GPUs, bfloat16 on CPUs."""
    if torch.cuda.is_available():
        cfg.optim_wrapper.type = 'AmpOptimWrapper'
        cfg.optim_wrapper.loss_scale = 'dynamic'
    else:
        cfg.optim_wrapper.type = 'CpuAmpOptimWrapper'


def check_options(cfg: Config) -> None:
    """Check a config before anything is built from it: names that nothing reads, values out of their range.

    Args:
        cfg: A config of any mm library. ``persistent_workers`` of data loaders without workers is switched off.

    Raises:
        UserError: something is wrong; it has the place in the config.
    """
    check_values(cfg)
    check_names(cfg)
    check_metrics(cfg)
    switch_off_workers(cfg)


def build_runner(cfg: Config, splits: Sequence[str]) -> Runner:
    """Check the data of these splits, build the runner, and log what the data are.

    Raises:
        UserError: the data have an error, the work dir cannot be written, or the runner cannot be built.
    """
    report = check_data(cfg, splits)
    # mmengine keeps one visualizer for each name, and it would go on writing into the folder of an earlier run.
    if cfg.get('visualizer'):
        cfg.visualizer.pop('name', None)
    try:
        with as_user_error('the config cannot be built', *BUILD_ERRORS):
            runner: Runner = RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)  # type: ignore[arg-type]
    except UserError as error:
        cause = error.__cause__
        if isinstance(cause, PermissionError | FileExistsError | NotADirectoryError) or is_disk_full(cause):
            raise UserError(f'work dir {cfg.work_dir} cannot be written: {cause}') from cause
        raise
    if report.summaries:
        runner.logger.info(f'The data:\n{report.format_table()}')
    return runner


def train(
    cfg: Config,
    *,
    work_dir: str | Path,
    resume: str | None = None,
    amp: bool = False,
    compile: bool = False,
    auto_scale_lr: bool = False,
    launcher: str = 'none',
    allow_partial_weights: bool = False,
    vis: Sequence[str] = (),
    patience: int | None = None,
    copy_data_to: str | Path | None = None,
    report: str | Path | None = None,
) -> Runner | None:
    """Train a config, and validate it as the config says.

    An error at any time is a :class:`UserError` of one line; the log file in the work dir has the traceback. Training
    stops at the first loss, gradient or weight that is not finite, see :class:`~lcnet_mm.engine.NonFiniteHook`. On a
    terminal a bar shows the progress; after each evaluation, curves and sample predictions are drawn into the work dir.

    Args:
        cfg: The config, as :func:`~lcnet_mm.utils.config.load_config` returns it.
        work_dir: Folder of the logs and checkpoints.
        resume: 'auto' to go on from the newest checkpoint of ``work_dir`` (or to start if there is none), or a
            checkpoint. The schedule of the config counts, also where it differs from the checkpoint's.
        amp: Whether to use mixed precision.
        compile: Whether to run the network through torch.compile, which needs a C++ compiler and training images of one
            size. Validation runs as without it.
        auto_scale_lr: Whether to scale the learning rate by the total batch size although the config does not.
        launcher: One of :data:`~lcnet_mm.utils.distributed.LAUNCHERS`.
        allow_partial_weights: Whether to start although some of the initial weights (``load_from``, ``init_cfg``) do
            not fit the model, as ``allow_partial_weights`` of the config.
        vis: Names of mmengine's visualization backends that also get scalars and images, see
            :data:`~lcnet_mm.engine.vis_backends.VIS_BACKENDS`.
        patience: Number of evaluations without a better result after which the training ends; the result is the
            metric that decides on the best checkpoint.
        copy_data_to: Folder to copy the data to first, see :func:`~lcnet_mm.data.local_copy.copy_data`.
        report: Folder for a report of the best checkpoint, or else of the last one, on the test data; see
            :func:`~lcnet_mm.apis.test`.

    Returns:
        The runner after training; None if the run that was to be resumed had been finished already.

    Raises:
        UserError: the data or the config is wrong, the checkpoint to resume or start from cannot be read or does not
            fit, something fails during training, or ``compile`` cannot work or does not pay.
        TrainingInterrupted: Ctrl-C has ended the training, and it can be resumed.
    """
    if report is not None:
        check_report_folder(report)
        if cfg.get('test_dataloader') is None:
            raise UserError('a report needs a config with test_dataloader, test_cfg and test_evaluator')
    tested = copy.deepcopy(cfg)
    cfg.work_dir = str(work_dir)
    check_options(cfg)
    if cfg.get('train_dataloader') is None:
        raise UserError('the config has no train_dataloader, train_cfg and optim_wrapper to train with')
    partial = allow_partial_weights or bool(cfg.get('allow_partial_weights'))
    if compile:
        check_compilable(cfg)
    use_available_device(cfg, launcher)
    if amp:
        enable_amp(cfg)
    if auto_scale_lr:
        if 'base_batch_size' not in cfg.get('auto_scale_lr', {}):
            raise UserError('auto_scale_lr needs a config with auto_scale_lr.base_batch_size')
        cfg.auto_scale_lr.enable = True
    add_vis_backends(cfg, vis)
    if patience is not None:
        stop_early(cfg, patience)
    state = _find_start(cfg, resume)
    if cfg.resume and state is not None and (message := finished_message(cfg, state)):
        print_log(message)
        return None
    if partial:
        _allow_partial_init(cfg.model)
    use_keeping_checkpoints(cfg)
    copied = copy_data(cfg, copy_data_to, progress=is_main_process()) if copy_data_to is not None else []
    runner = build_runner(cfg, ('train', 'val'))
    progress = ProgressHook()
    with one_line_errors(runner, progress):
        for line in copied:
            runner.logger.info(line)
        if resume == 'auto' and state is None:
            runner.logger.info(f'{work_dir} has no checkpoint to resume: the training starts from the beginning.')
        _load_data(runner, cfg)
        if state is not None:
            _check_start(runner, cfg, state, partial)
        with as_user_error('the optimizer cannot be built', *BUILD_ERRORS):
            runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)  # type: ignore[arg-type]
        if cfg.resume and state is not None:
            _check_optimizer(runner, cfg, state)
        hooks = [progress, NonFiniteHook(), ScheduleOnResumeHook(), ClassTransferHook()]
        bar, interrupt = ProgressBarHook(), InterruptHook()
        hooks += [bar, SampleImagesHook(), CurvesHook(), interrupt]
        for hook in [*hooks, CompileHook()] if compile else hooks:
            if not any(type(other) is type(hook) for other in runner.hooks):
                runner.register_hook(hook)
        with bar.showing(runner), interrupt.listening():
            runner.train()
    if report is not None and (checkpoint := runner.message_hub.get_info('best_ckpt') or newest_checkpoint(work_dir)):
        # It builds its runner as this module does.
        from .test import test

        test(tested, checkpoint, work_dir=work_dir, report=report, launcher=launcher)
    return runner


def newest_checkpoint(work_dir: str | Path) -> str | None:
    """Return the checkpoint that ``work_dir/last_checkpoint`` names, or None before the first one was written.

    Where a kill or a full disk has left that file empty, it is the checkpoint with the highest number.

    Raises:
        UserError: the file names a checkpoint that does not exist.
    """
    pointer = Path(work_dir) / 'last_checkpoint'
    text = pointer.read_text().strip() if pointer.is_file() else ''
    if not text:
        numbered = [
            (int(path.stem.rpartition('_')[2]), path)
            for kind in ('epoch', 'iter')
            for path in Path(work_dir).glob(f'{kind}_*.pth')
            if path.stem.rpartition('_')[2].isdigit()
        ]
        return str(max(numbered)[1]) if numbered else None
    # A work dir that was moved or copied has its own checkpoints beside the pointer.
    named = Path(text)
    for path in (Path(work_dir) / named.name, named):
        if path.is_file():
            return str(path)
    raise UserError(f'{pointer} names {named}, which does not exist; name the checkpoint to resume')


def finished_message(cfg: Config, checkpoint: dict[str, Any]) -> str | None:
    """Say that a training is complete and how to go on, or return None if there is something left to train.

    Args:
        cfg: The config.
        checkpoint: The checkpoint to resume.
    """
    meta = checkpoint['meta']
    loop = cfg.train_cfg
    by_epoch = loop.get('by_epoch', 'max_epochs' in loop)
    unit, length, done = (
        ('epoch', loop.get('max_epochs'), meta['epoch']) if by_epoch else ('iter', loop.get('max_iters'), meta['iter'])
    )
    if length is None or done < length:
        return None
    return (
        f'The training in {cfg.work_dir} is finished: {cfg.load_from} has {done} of {length} '
        f'{"epochs" if by_epoch else "iterations"}. Nothing was changed. To go on, set train_cfg.max_{unit}s to more, '
        'and let the schedule (param_scheduler) end there too; to train anew, use another work dir.'
    )


def _find_start(cfg: Config, resume: str | None) -> dict[str, Any] | None:
    """Decide what the training starts from, note it in the config, and read it.

    Returns:
        The checkpoint to resume or to start from, if it is a local file.

    Raises:
        UserError: it cannot be read, or cannot be resumed.
    """
    wanted = resume or ('auto' if cfg.get('resume') and not cfg.get('load_from') else None)
    found = newest_checkpoint(cfg.work_dir) if wanted == 'auto' else wanted
    if found is not None:
        cfg.load_from = found
    cfg.resume = found is not None or bool(cfg.get('resume') and cfg.get('load_from'))
    if cfg.get('load_from'):
        # A name becomes the file in the cache, which is checked as any other.
        cfg.load_from = local_checkpoint(cfg.load_from)
    if not cfg.get('load_from') or '://' in cfg.load_from:
        return None
    checkpoint = read_checkpoint(cfg.load_from)
    if cfg.resume:
        meta = checkpoint.get('meta') or {}
        lacking = [f'meta.{name}' for name in ('epoch', 'iter') if not isinstance(meta.get(name), int)]
        lacking += [name for name in ('optimizer', 'message_hub') if not isinstance(checkpoint.get(name), dict)]
        if lacking:
            raise UserError(
                f'checkpoint {cfg.load_from} cannot be resumed: it has weights, but no {", ".join(lacking)}, as the '
                'best and the published checkpoints; resume an epoch_… or iter_… checkpoint, or start a new training '
                'from its weights with load_from'
            )
    return checkpoint


def _check_start(runner: Runner, cfg: Config, checkpoint: dict[str, Any], partial: bool) -> None:
    """Check that the weights to resume or to start from fit the model.

    Raises:
        UserError: they do not, and may not be loaded in part.
    """
    model = unwrapped_model(runner)
    state = {key.removeprefix('module.'): value for key, value in checkpoint['state_dict'].items()}
    if not cfg.resume:
        # As the hook does it with the checkpoint that is loaded.
        fit_to_training_data(runner, {**checkpoint, 'state_dict': state})
    misfits = find_misfits(model.state_dict(), state)
    if not misfits:
        return
    text = f'checkpoint {cfg.load_from} was made for another model: {"; ".join(misfits)}'
    if cfg.resume:
        raise UserError(f'{text}; a training can be resumed with the model that it was started with only')
    if not partial:
        raise UserError(f'{text}; to start from what fits all the same, use allow_partial_weights')
    runner.logger.warning(f'{text}. The rest of the weights starts as initialized (allow_partial_weights).')


def _check_optimizer(runner: Runner, cfg: Config, checkpoint: dict[str, Any]) -> None:
    """Check that the optimizer's state in a checkpoint belongs to the config's optimizer.

    Raises:
        UserError: it does not.
    """
    optimizer: Any = getattr(runner.optim_wrapper, 'optimizer', None)
    groups = checkpoint['optimizer'].get('param_groups')
    if optimizer is None or not isinstance(groups, list):
        return
    unknown = [name for name in optimizer.defaults if groups and name not in groups[0]]
    sizes = [[len(group['params']) for group in given] for given in (groups, optimizer.param_groups)]
    if unknown or sizes[0] != sizes[1]:
        reason = f'it has no {", ".join(unknown)}' if unknown else 'it groups the weights in another way'
        raise UserError(
            f'checkpoint {cfg.load_from} cannot be resumed: its optimizer is not {type(optimizer).__name__} as '
            f'optim_wrapper says ({reason}); resume with the optimizer that it was started with, or start a new '
            'training from its weights with load_from'
        )


def _load_data(runner: Runner, cfg: Config) -> None:
    """Build the data loaders of the training and the validation, and check what they yield.

    Raises:
        UserError: one cannot be built, has no batch, or has other classes than the model.
    """
    for split in ('train', 'val'):
        name = f'_{split}_dataloader'
        given: Any = getattr(runner, name)
        if given is None:
            continue
        what = {'train': 'training', 'val': 'validation'}[split]
        with as_user_error(f'the {what} data cannot be loaded', *BUILD_ERRORS):
            loader = runner.build_dataloader(
                given, seed=runner.seed, diff_rank_seed=runner._randomness_cfg.get('diff_rank_seed', False)
            )
        _check_loader(cfg, split, what, loader)
        name_files_in_errors(loader.dataset)
        setattr(runner, name, loader)
    with as_user_error('the training loop cannot be built', *BUILD_ERRORS):
        runner._train_loop = runner.build_train_loop(use_resumable_loop(runner._train_loop))
    if runner._val_loop is not None:
        with as_user_error('the evaluation cannot be built', *BUILD_ERRORS):
            runner._val_loop = runner.build_val_loop(runner._val_loop)


def _check_loader(cfg: Config, split: str, what: str, loader: Any) -> None:
    count, size = len(loader.dataset), cfg[f'{split}_dataloader'].get('batch_size')
    if count == 0:
        raise UserError(f'the {what} data has no image that can be used: all were left out, or there are none')
    if len(loader) == 0:
        raise UserError(
            f'the {what} data has {count} images, fewer than one batch: {split}_dataloader.batch_size is {size}, and '
            f'drop_last leaves out the rest; set {split}_dataloader.batch_size to at most {count}, or drop_last=False'
        )
    classes: Any = (getattr(loader.dataset, 'metainfo', None) or {}).get('classes')
    if not isinstance(classes, list | tuple):
        return
    for head, number in head_class_numbers(cfg.model):
        if number != len(classes):
            raise UserError(
                f'{split} data has {len(classes)} classes, model.{head}.num_classes is {number}; make them equal'
            )


def _allow_partial_init(part: Any) -> None:
    """Let every Pretrained initializer of a model load what fits."""
    if isinstance(part, dict):
        if part.get('type') == 'Pretrained' and 'checkpoint' in part:
            part['allow_partial'] = True
        part = list(part.values())
    if isinstance(part, list | tuple):
        for value in part:
            _allow_partial_init(value)
