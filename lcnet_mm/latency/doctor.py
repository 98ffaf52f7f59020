"""A page about this machine: what is installed, what is missing, and what the CPU can do."""

from __future__ import annotations

from typing import Any

from ..utils.machine import describe_machine, installed_version

# The packages that each extra brings.
PARTS = {
    'backbone': ('torch', 'mmengine', 'mmcv'),
    'detection': ('mmdet',),
    'segmentation': ('mmsegmentation', 'ftfy', 'regex', 'cityscapesscripts'),
    'classification': ('mmpretrain',),
    'deploy': ('mmdeploy', 'onnx', 'onnxruntime', 'openvino', 'nncf'),
    'runtime': ('opencv-python', 'openvino'),
}
# A load above this share of the CPUs disturbs a measurement.
_MAX_LOAD = 0.2


def advise(machine: dict[str, Any]) -> list[str]:
    """Say what to expect of measurements and of INT8 on a machine.

    Args:
        machine: As :func:`~lcnet_mm.utils.machine.describe_machine` returns it.

    Returns:
        One line for each piece of advice.
    """
    flags, lines = set(machine['flags']), []
    if not flags & {'avx2', 'avx512f'}:
        lines.append('no AVX2: OpenVINO runs, but much slower than on the CPUs that this package is tuned for')
    if flags & {'avx512_vnni', 'avx_vnni', 'amx_int8'}:
        lines.append('VNNI: INT8 exports are faster than float32 here')
    else:
        lines.append('no VNNI: INT8 exports are smaller, but hardly faster than float32 here')
    if flags & {'avx512_bf16', 'amx_bf16'}:
        lines.append('bfloat16 arithmetic: try precision bf16')
    if machine['logical_cpus'] > machine['physical_cores']:
        lines.append('hyper-threading: use as many threads as physical cores')
    if machine['load'] > _MAX_LOAD * machine['logical_cpus']:
        lines.append(f'load {machine["load"]}: other programs are running; close them before you measure')
    return lines


def format_report() -> str:
    """Return the page as text."""
    machine = describe_machine()
    lines = [
        f'CPU        {machine["cpu"]}',
        f'           {machine["physical_cores"]} physical cores, {machine["logical_cpus"]} logical CPUs usable, '
        f'load {machine["load"]}',
        f'           {", ".join(machine["flags"]) or "no known instruction sets"}',
        f'system     {machine["system"]}, Python {machine["python"]}, commit {machine["commit"] or "unknown"}',
    ]
    for part, packages in PARTS.items():
        found = {package: installed_version(package) for package in packages}
        listed = ', '.join(f'{package} {number or "MISSING"}' for package, number in found.items())
        lines.append(f'{part:<15}{listed}')
        if None in found.values():
            lines.append(f"{'':<15}-> pip install 'lcnet-mm[{part}]'")
    lines += [f'advice     {line}' for line in advise(machine)]
    return '\n'.join(lines)
