"""A user's mistake is one line on standard error, not a traceback."""

from __future__ import annotations

import errno
import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

# Set it to anything to see where an error that is shown as one line came from.
TRACEBACK_VARIABLE = 'LCNET_MM_TRACEBACK'
# A folder where the processes of a group leave their line, so that their launcher shows one of them, once.
ERROR_FOLDER_VARIABLE = 'LCNET_MM_ERROR_FOLDER'

# What mmengine raises while it builds from a config: a config that cannot be built is the user's to mend.
BUILD_ERRORS = (KeyError, TypeError, ValueError, AttributeError, AssertionError, ImportError, OSError, RuntimeError)

# A library's message is cut to this many characters: some list a whole registry or a whole state dict.
_LONGEST = 400


class UserError(Exception):
    """Something that the user can mend: its message names the thing, what it was and what to do."""


def raise_problems(problems: Sequence[object]) -> None:
    """Raise a :class:`UserError` with the first three problems and the number of the others, if there are any."""
    if problems:
        more = f' (and {len(problems) - 3} more)' if len(problems) > 3 else ''
        raise UserError('; '.join(map(str, problems[:3])) + more)


@contextmanager
def as_user_error(doing: str, *kinds: type[BaseException]) -> Iterator[None]:
    """Turn exceptions of these kinds into a :class:`UserError` that begins with what was being done."""
    try:
        yield
    except UserError:
        raise
    except kinds as error:
        raise UserError(f'{doing}: {describe_error(error)}') from error


def describe_error(error: BaseException) -> str:
    """Return what an exception says, as part of one line: its kind and message, or the file and what is wrong with it.

    The traceback that PyTorch puts into an exception from a data loader's worker is left out.

    >>> describe_error(KeyError('area'))
    "KeyError: 'area'"
    >>> describe_error(OSError(28, 'No space left on device', 'epoch_3.pth'))
    'epoch_3.pth: No space left on device'
    """
    kind, message = type(error).__name__, str(error)
    if message.startswith('Caught ') and '\nOriginal Traceback' in message:
        lines = message.rstrip().splitlines()
        last = max(i for i, line in enumerate(lines) if line.startswith('  File "'))
        end = next((i for i in range(last + 1, len(lines)) if lines[i][:1].strip()), len(lines) - 1)
        kind, _, message = '\n'.join(lines[end:]).partition(': ')
        kind = kind.rpartition('.')[2] or kind
    elif isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f'{error.filename}: {error.strerror}'
    message = ' '.join(message.split())
    if kind == 'UserError':
        return message
    if len(message) > _LONGEST:
        message = f'{message[:_LONGEST]} …'
    return f'{kind}: {message}' if message else kind


def is_disk_full(error: BaseException | None) -> bool:
    """Whether an exception, or one that it came from, says that a file system or a quota is full."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return True
        # PyTorch's writer of checkpoints raises a RuntimeError from C++.
        if 'No space left on device' in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def run_cli(main: Callable[[], int | None]) -> NoReturn:
    """Run a command line and exit with its code: 1 and one line after an error, 130 after Ctrl-C.

    Any other exception than a :class:`UserError` is an error of the program, or of something that it did not foresee.
    It is one line too, which names a file with the traceback. :data:`TRACEBACK_VARIABLE` shows tracebacks at once.
    """
    message = ''
    try:
        code = main() or 0
    except UserError as error:
        if os.environ.get(TRACEBACK_VARIABLE):
            raise
        # From a data loader's worker the message comes after the worker's traceback.
        message = 'error: ' + ' '.join(str(error).rsplit('UserError: ', 1)[-1].split())
        code = 1
    except KeyboardInterrupt as error:
        message = str(error) or 'interrupted'
        code = 130
    except BrokenPipeError:
        # The reader of the output, such as head, has gone. Python would complain once more while it closes the output.
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except Exception as error:
        if os.environ.get(TRACEBACK_VARIABLE):
            raise
        message = f'error: {describe_error(error)}{_keep_traceback(error)}'
        code = 1
    # Only now are the frames of the exception gone, and with them progress bars, which clear their line when they go.
    if message:
        _report(message)
    sys.exit(code)


def _keep_traceback(error: Exception) -> str:
    """Write the traceback of an unforeseen error into a file, and return the part of a sentence that names it."""
    if isinstance(error, OSError | MemoryError):
        return ''
    try:
        file, name = tempfile.mkstemp(prefix='lcnet_mm_', suffix='.log')
        with open(file, 'w') as stream:
            traceback.print_exception(error, file=stream)
    except OSError:
        return f' (unforeseen; {TRACEBACK_VARIABLE}=1 shows where)'
    return f' (unforeseen; {name} has the traceback)'


def _report(message: str) -> None:
    """Print the line of an error, or leave it to the launcher of a group of processes."""
    folder = os.environ.get(ERROR_FOLDER_VARIABLE)
    if folder and message.startswith('error: '):
        with suppress(OSError):
            (Path(folder) / f'{os.environ.get("RANK", "0")}.txt').write_text(message)
            return
    print(message, file=sys.stderr)
