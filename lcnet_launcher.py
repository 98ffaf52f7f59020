"""Start the commands of lcnet_mm with what has to be in the environment before torch is loaded.

This module is not part of the package ``lcnet_mm``, because importing that loads torch. The console script ``lcnet``,
``python -m lcnet_mm`` and the files of ``tools/`` start here.
"""

from __future__ import annotations

import os
import sys
from collections.abc import MutableMapping

# GNU's OpenMP threads spin before they sleep. While another process has one of the cores, the threads of a training
# step wait for each other in whole time slices, and a step can take 40 times as long. With a count this small they
# sleep soon enough, and a quiet machine is as fast as before; tools/benchmark_training.py --busy measures both.
SPIN_COUNT = '3000'
# The same for Intel's OpenMP, in milliseconds.
BLOCK_TIME = '1'
# What a user sets to choose the waiting of OpenMP's threads.
WAITING = ('OMP_WAIT_POLICY', 'GOMP_SPINCOUNT', 'KMP_BLOCKTIME')


def prepare_environment(environment: MutableMapping[str, str] = os.environ) -> None:
    """Keep OpenMP's threads from spinning; has an effect only before torch is loaded. What the user has set wins."""
    if not any(name in environment for name in WAITING):
        environment.update(GOMP_SPINCOUNT=SPIN_COUNT, KMP_BLOCKTIME=BLOCK_TIME)


def main() -> None:
    """Run the command line ``lcnet COMMAND …``."""
    prepare_environment()
    from lcnet_mm.cli import main as run

    run()


def run_tool(command: str) -> None:
    """Run one command for a file of ``tools/``, whose name stands in its usage."""
    prepare_environment()
    from lcnet_mm.cli import run_command

    run_command(command, sys.argv[1:], f'python {sys.argv[0]}')


if __name__ == '__main__':
    main()
