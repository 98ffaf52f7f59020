"""A description of the machine, without which measured times mean nothing."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

# Instruction sets that decide how fast a network runs.
_FLAGS = ('sse4_2', 'avx2', 'fma', 'f16c', 'avx512f', 'avx512_vnni', 'avx_vnni', 'avx512_bf16', 'amx_bf16', 'amx_int8')
_PACKAGES = (
    *('lcnet-mm', 'torch', 'openvino', 'onnxruntime', 'nncf', 'mmengine', 'mmcv', 'mmdet', 'mmsegmentation'),
    *('mmpretrain', 'mmdeploy', 'numpy', 'opencv-python'),
)


def _read_cpuinfo() -> list[dict[str, str]]:
    """Return the entries of ``/proc/cpuinfo``, one for each logical CPU; none if there is no such file."""
    file = Path('/proc/cpuinfo')
    if not file.is_file():
        return []
    entries = []
    for block in file.read_text().strip().split('\n\n'):
        pairs = (line.split(':', 1) for line in block.splitlines() if ':' in line)
        entries.append({key.strip(): value.strip() for key, value in pairs})
    return entries


def _usable_cpus() -> set[int]:
    """Return the logical CPUs that this process may use."""
    return os.sched_getaffinity(0) if hasattr(os, 'sched_getaffinity') else set(range(os.cpu_count() or 1))


def physical_cores() -> int:
    """Return the number of physical cores that this process may use; the hyper-threads of one core count once."""
    usable = _usable_cpus()
    cores = {
        (entry.get('physical id', '0'), entry.get('core id', entry.get('processor', '0')))
        for entry in _read_cpuinfo()
        if int(entry.get('processor', -1)) in usable
    }
    return len(cores) or len(usable)


def installed_version(package: str) -> str | None:
    """Return the version of a package, or None if it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _git_commit() -> str | None:
    """Return the commit of the running source tree, with '+' if files were changed; None outside a repository."""
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
    """Return CPU, instruction sets, cores, load and versions as JSON types."""
    cpus = _read_cpuinfo()
    flags = set(cpus[0].get('flags', '').split()) if cpus else set()
    return dict(
        cpu=cpus[0].get('model name', 'unknown CPU') if cpus else platform.processor() or 'unknown CPU',
        flags=[flag for flag in _FLAGS if flag in flags],
        physical_cores=physical_cores(),
        logical_cpus=len(_usable_cpus()),
        load=round(os.getloadavg()[0], 2),
        system=platform.platform(),
        python=platform.python_version(),
        versions={name: found for name in _PACKAGES if (found := installed_version(name))},
        commit=_git_commit(),
    )


def format_machine(machine: dict[str, Any]) -> str:
    """Return the machine in one line."""
    flags = ', '.join(flag for flag in machine['flags'] if flag.startswith(('avx', 'amx')))
    return (
        f'{machine["cpu"]} ({flags}), {machine["physical_cores"]} physical cores, {machine["logical_cpus"]} logical, '
        f'load {machine["load"]}, OpenVINO {machine["versions"].get("openvino", "missing")}'
    )
