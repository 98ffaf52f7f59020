"""Install mmcv with its compiled operators, built against the torch that is installed.

The package index has no wheel of mmcv, and in pip's isolated builds its setup finds no torch and silently leaves the
operators out, after which mmdet cannot be imported.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from compiler import find_compiler, is_gcc, make_compiler

LOG = Path(sys.prefix) / 'install_mmcv.log'
POLL_SECONDS = 0.5
HEARTBEAT_SECONDS = 15
# The cheapest use of a compiled operator: it fails if they were left out or built against another torch.
VERIFY = (
    'import torch; from mmcv.ops import nms; '
    'assert len(nms(torch.tensor([[0.0, 0, 4, 4], [0, 0, 4, 4]]), torch.tensor([0.9, 0.8]), 0.5)[1]) == 1'
)
# What ninja prints before each file.
PROGRESS = re.compile(r'\[(\d+)/(\d+)\]')


def find_nvcc() -> str | None:
    """Return the version of the CUDA compiler, as ``12.8``, or None without one."""
    home = os.environ.get('CUDA_HOME') or os.environ.get('CUDA_PATH')
    nvcc = shutil.which(str(Path(home) / 'bin' / 'nvcc')) if home else shutil.which('nvcc')
    if nvcc is None:
        return None
    found = re.search(r'release (\d+\.\d+)', subprocess.run([nvcc, '--version'], capture_output=True, text=True).stdout)
    return found.group(1) if found else None


def build_environment() -> dict[str, str]:
    """Return the environment of the build: the GPU is hidden where its operators cannot be compiled."""
    environment = {**os.environ, 'MMCV_WITH_OPS': '1'}
    environment.pop('FORCE_CUDA', None)
    if not torch.cuda.is_available():
        return environment
    nvcc, needed = find_nvcc(), torch.version.cuda
    if nvcc is None or needed is None or nvcc.split('.')[0] != needed.split('.')[0]:
        print(
            f'A GPU is here, but {f"nvcc {nvcc}" if nvcc else "no nvcc"}, and torch needs CUDA {needed}: mmcv gets its '
            'CPU operators only. Training runs on the GPU; NMS of tensors on the GPU does not, so evaluate and predict '
            f'on the CPU (CUDA_VISIBLE_DEVICES=), or install the CUDA toolkit {needed} and run make setup again.'
        )
        environment['CUDA_VISIBLE_DEVICES'] = ''
    return environment


def verified() -> bool:
    """Whether the operators of the installed mmcv work with the installed torch."""
    return subprocess.run([sys.executable, '-c', VERIFY], capture_output=True, check=False).returncode == 0


class Progress:
    """One line for each heartbeat: files compiled, and the time left at the pace since the first one was done."""

    def __init__(self) -> None:
        self.start = time.monotonic()
        self.shown = self.start
        self.first: tuple[float, int] | None = None

    def show(self) -> None:
        """Print the line if a heartbeat has passed."""
        now = time.monotonic()
        counts = PROGRESS.findall(LOG.read_text(errors='replace'))
        done, total = map(int, counts[-1]) if counts else (0, 0)
        if done and self.first is None:
            self.first = now, done
        if now - self.shown < HEARTBEAT_SECONDS:
            return
        self.shown = now
        left = ''
        if self.first is not None and done > self.first[1]:
            seconds = (now - self.first[0]) / (done - self.first[1]) * (total - done)
            left = f', about {seconds:.0f} s left'
        files = f'{done} of {total} files' if total else 'preparing'
        print(f'  compiling mmcv: {files}, {now - self.start:.0f} s{left}', flush=True)


def pip_install(requirements: str, *options: str) -> bool:
    """Run pip with its output in :data:`LOG`, and show how far the compiler is."""
    # Verbose, so that the compiler's progress reaches the log.
    command = [sys.executable, '-m', 'pip', 'install', '-v', '--no-build-isolation', '--disable-pip-version-check']
    environment, compiler = build_environment(), find_compiler()
    # Debug information triples the time of the compiler; the flags that the user has set come last and win.
    environment['CFLAGS'] = f'-g0 {os.environ.get("CFLAGS", "")}'.strip()
    with tempfile.TemporaryDirectory(prefix='lcnet-mm-pch-') as folder, LOG.open('w') as log:
        if compiler is not None and is_gcc(compiler):
            environment |= make_compiler(Path(folder), compiler)
        process = subprocess.Popen(
            [*command, *options, '-r', requirements], stdout=log, stderr=subprocess.STDOUT, env=environment
        )
        progress = Progress()
        try:
            while process.poll() is None:
                progress.show()
                time.sleep(POLL_SECONDS)
        except BaseException:
            process.kill()
            process.wait()
            raise
    return process.returncode == 0


def main() -> None:
    """Install the mmcv of a requirements file and make sure that its operators work."""
    requirements = sys.argv[1]
    print('Installing mmcv: it is compiled once, about 2 minutes on 2 cores; later set-ups take it from the cache.')
    installed = pip_install(requirements)
    # A wheel from pip's cache may have been built without operators or against another torch.
    if installed and not verified():
        print('The mmcv in the cache does not fit this torch: compiling it anew, about 2 minutes on 2 cores.')
        installed = pip_install(requirements, '--force-reinstall', '--no-deps', '--no-cache-dir')
    if not installed or not verified():
        sys.exit(f'error: mmcv could not be built; the end of {LOG} says why. Mend it and run make setup again')
    LOG.unlink()


if __name__ == '__main__':
    main()
