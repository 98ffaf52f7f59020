"""The machine that figures were measured on: they mean nothing without it."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

# Instructions that decide how fast a network runs.
FLAGS = ('sse4_2', 'avx2', 'fma', 'f16c', 'avx512f', 'avx512_vnni', 'avx_vnni', 'avx512_bf16', 'amx_bf16', 'amx_int8')
PACKAGES = (
    *('lcnet-mm', 'torch', 'openvino', 'onnxruntime', 'nncf', 'mmengine', 'mmcv', 'mmdet', 'mmsegmentation'),
    *('mmpretrain', 'mmdeploy', 'numpy', 'opencv-python'),
)


def read_cpuinfo() -> list[dict[str, str]]:
    """Return the entries of ``/proc/cpuinfo``, one for each logical CPU; empty where there is none."""
    file = Path('/proc/cpuinfo')
    if not file.is_file():
        return []
    entries = []
    for block in file.read_text().strip().split('\n\n'):
        pairs = (line.split(':', 1) for line in block.splitlines() if ':' in line)
        entries.append({key.strip(): value.strip() for key, value in pairs})
    return entries


def usable_cpus() -> set[int]:
    """Logical CPUs that this process may use."""
    return os.sched_getaffinity(0) if hasattr(os, 'sched_getaffinity') else set(range(os.cpu_count() or 1))


def physical_cores() -> int:
    """Physical cores that this process may use; hyper-threads of one core count once."""
    usable = usable_cpus()
    cores = {
        (entry.get('physical id', '0'), entry.get('core id', entry.get('processor', '0')))
        for entry in read_cpuinfo()
        if int(entry.get('processor', -1)) in usable
    }
    return len(cores) or len(usable)


def installed_version(package: str) -> str | None:
    """Version of an installed package, or None."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def git_commit() -> str | None:
    """Commit of the source tree that runs, with '+' where it was changed; None outside a repository."""
    folder = Path(__file__).parent
    try:
        run = [
            subprocess.run(['git', *arguments], cwd=folder, capture_output=True, text=True, timeout=10, check=True)
            for arguments in (['rev-parse', 'HEAD'], ['status', '--porcelain', '--untracked-files=no'])
        ]
    except (OSError, subprocess.SubprocessError):
        return None
    return run[0].stdout.strip() + ('+' if run[1].stdout.strip() else '')


def describe_machine() -> dict[str, Any]:
    """CPU, instructions, cores, load and versions, as JSON types."""
    cpus = read_cpuinfo()
    flags = set(cpus[0].get('flags', '').split()) if cpus else set()
    return dict(
        cpu=cpus[0].get('model name', 'unknown CPU') if cpus else platform.processor() or 'unknown CPU',
        flags=[flag for flag in FLAGS if flag in flags],
        physical_cores=physical_cores(),
        logical_cpus=len(usable_cpus()),
        load=round(os.getloadavg()[0], 2),
        system=platform.platform(),
        python=platform.python_version(),
        versions={name: found for name in PACKAGES if (found := installed_version(name))},
        commit=git_commit(),
    )


def format_machine(machine: dict[str, Any]) -> str:
    """Return the machine in one line."""
    flags = ', '.join(flag for flag in machine['flags'] if flag.startswith(('avx', 'amx')))
    return (
        f'{machine["cpu"]} ({flags}), {machine["physical_cores"]} physical cores, {machine["logical_cpus"]} logical, '
        f'load {machine["load"]}, OpenVINO {machine["versions"].get("openvino", "missing")}'
    )
