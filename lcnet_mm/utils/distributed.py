"""Joining the group of processes that a launcher has started."""

from __future__ import annotations

import os

import torch
from mmengine.dist import init_dist

from .errors import UserError

LAUNCHERS = ('none', 'pytorch', 'slurm', 'mpi')


def join_cpu_group(launcher: str) -> None:
    """Join a group of processes on CPUs: mmengine would call ``torch.cuda.set_device``.

    Raises:
        UserError: the launcher is not ``pytorch``, or torchrun has not started this process.
    """
    if launcher != 'pytorch':
        raise UserError(f'launcher {launcher} needs GPUs, and none is visible; on CPUs use launcher pytorch')
    if 'RANK' not in os.environ:
        raise UserError('launcher pytorch needs the environment that torchrun sets; start with torchrun')
    if not torch.distributed.is_initialized():
        torch.distributed.init_process_group('gloo')


def join_group(launcher: str) -> None:
    """Join a group of processes, on GPUs if there are any.

    Args:
        launcher: One of :data:`LAUNCHERS`; 'none' does nothing.

    Raises:
        UserError: there is no such group.
    """
    if launcher == 'none' or torch.distributed.is_initialized():
        return
    if torch.cuda.is_available():
        init_dist(launcher, backend='nccl')
    else:
        join_cpu_group(launcher)
