"""Training a config of any mm library."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.registry import HOOKS, RUNNERS
from mmengine.runner import Runner

from ..data.checks import check_data
from ..utils.checkpoint import read_checkpoint
from ..utils.errors import BUILD_ERRORS, UserError, as_user_error
from ..weights.cache import local_checkpoint
from .compilation import CompileHook, check_compilable

LAUNCHERS = ('none', 'pytorch', 'slurm', 'mpi')


def default_work_dir(config: str | Path) -> str:
    """``work_dirs/NAME`` for a config ``…/NAME.py``, as in the mm tools."""
    return str(Path('work_dirs') / Path(config).stem)


def use_available_device(cfg: Config, launcher: str) -> None:
    """Let several processes train on CPUs: gloo instead of nccl, and no device ids for the model wrapper."""
    cfg.launcher = launcher
    if launcher == 'none' or torch.cuda.is_available():
        return
    if launcher != 'pytorch':
        raise UserError(f'launcher {launcher} needs GPUs, and none is visible; on CPUs use launcher pytorch')
    if 'RANK' not in os.environ:
        raise UserError('launcher pytorch needs the environment that torchrun sets; start with tools/dist_train.sh')
    if not torch.distributed.is_initialized():
        # mmengine would call torch.cuda.set_device; it leaves an initialised group as it is.
        torch.distributed.init_process_group('gloo')
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


def build_runner(cfg: Config, splits: Sequence[str]) -> Runner:
    """Check the data of these splits and build the runner.

    Raises:
        UserError: a file is missing or the config cannot be built.
    """
    # Our configs import it themselves; any other config needs its loader of checkpoints to resume, and amp its wrapper.
    import_module('lcnet_mm.engine')
    check_data(cfg, tuple(splits))
    # mmengine keeps one visualizer for each name, and it would go on writing into the folder of an earlier run.
    if cfg.get('visualizer'):
        cfg.visualizer.pop('name', None)
    with as_user_error('the config cannot be built', *BUILD_ERRORS):
        runner: Runner = RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)  # type: ignore[arg-type]
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
) -> Runner:
    """Train a config, and validate it as the config says.

    Args:
        cfg: The config, as :func:`~lcnet_mm.utils.config.load_config` returns it.
        work_dir: Folder of the logs and checkpoints.
        resume: 'auto' to go on from the newest checkpoint of ``work_dir`` (or to start if there is none), or a
            checkpoint.
        amp: Whether to use mixed precision.
        compile: Whether to run the network through torch.compile, which needs a C++ compiler and training images of one
            size. Validation runs as without it.
        auto_scale_lr: Whether to scale the learning rate by the total batch size although the config does not.
        launcher: One of :data:`LAUNCHERS`.

    Returns:
        The runner after training.

    Raises:
        UserError: the data or the config is wrong, the checkpoint to resume or start from cannot be read, or
            ``compile`` cannot work or does not pay.
    """
    cfg.work_dir = str(work_dir)
    if compile:
        check_compilable(cfg)
    use_available_device(cfg, launcher)
    if amp:
        enable_amp(cfg)
    if auto_scale_lr:
        if 'base_batch_size' not in cfg.get('auto_scale_lr', {}):
            raise UserError('auto_scale_lr needs a config with auto_scale_lr.base_batch_size')
        cfg.auto_scale_lr.enable = True
    found = newest_checkpoint(work_dir) if resume == 'auto' else resume
    if found is not None:
        cfg.resume, cfg.load_from = True, found
    if cfg.get('load_from'):
        # A name becomes the file in the cache, so that it is checked as any other.
        cfg.load_from = local_checkpoint(cfg.load_from)
    if cfg.get('load_from') and '://' not in cfg.load_from:
        read_checkpoint(cfg.load_from)
    runner = build_runner(cfg, ('train', 'val'))
    with as_user_error('the training data cannot be loaded', *BUILD_ERRORS):
        assert runner._train_loop is not None
        runner._train_loop = runner.build_train_loop(runner._train_loop)
    if compile:
        runner.register_hook(CompileHook())
    if cfg.get('load_from') and not cfg.get('resume'):
        runner.register_hook(HOOKS.build(dict(type='ClassTransferHook')))
    runner.train()
    return runner


def newest_checkpoint(work_dir: str | Path) -> str | None:
    """Return the checkpoint that ``work_dir/last_checkpoint`` names, or None before the first one was written.

    Raises:
        UserError: the file names a checkpoint that does not exist.
    """
    pointer = Path(work_dir) / 'last_checkpoint'
    if not pointer.is_file():
        return None
    # A work dir that was moved or copied keeps its checkpoints beside the pointer.
    named = Path(pointer.read_text().strip())
    for path in (named, Path(work_dir) / named.name):
        if path.is_file():
            return str(path)
    raise UserError(f'{pointer} names {named}, which does not exist; name the checkpoint to resume')
