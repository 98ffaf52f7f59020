"""Start the processes of a group as torchrun does, and say in one line why they failed.

``tools/dist_train.sh`` runs this module. torchrun itself ends with its own traceback and those of every process.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import tempfile
from pathlib import Path

from torch.distributed import run as torchrun
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

from ..utils.errors import ERROR_FOLDER_VARIABLE

# How a process begins that has failed only because another one did, see lcnet_mm.engine.progress.
_SECONDARY = 'another process of the group has ended'


def main() -> int:
    """Run ``torchrun`` with the arguments of this process; return its exit code."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ[ERROR_FOLDER_VARIABLE] = folder
        # The errors of the processes, which are said below; the processes have loggers of their own.
        logging.disable(logging.ERROR)
        try:
            torchrun.main(sys.argv[1:])
        except SignalException as error:
            # The processes have had it too, and say what they did.
            return 128 + int(error.sigval)
        except ChildFailedError as error:
            print(_reason(error, Path(folder)), file=sys.stderr)
            return 1
    return 0


def _reason(error: ChildFailedError, folder: Path) -> str:
    """Return the message of the process that failed first by itself, or say how it ended."""
    said = [file.read_text() for file in sorted(folder.glob('*.txt'), key=lambda file: file.stat().st_mtime_ns)]
    own = [text for text in said if _SECONDARY not in text]
    if own:
        return own[0]
    for rank, failure in sorted(error.failures.items(), key=lambda item: item[1].timestamp):
        # The others are ended with SIGTERM.
        if failure.exitcode < 0 and failure.exitcode != -signal.SIGTERM:
            name = signal.Signals(-failure.exitcode).name
            return (
                f'error: process {rank} of the group was ended by {name}, often because memory ran out; complete '
                'checkpoints are kept, and the training can be resumed'
            )
    if said:
        return said[0]
    rank, failure = error.get_first_failure()
    return f'error: process {rank} of the group ended with exit code {failure.exitcode}'


if __name__ == '__main__':
    sys.exit(main())
