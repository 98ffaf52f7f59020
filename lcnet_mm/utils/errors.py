"""A user's mistake is one line on standard error, not a traceback."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn

# Set it to anything to see where an error that is shown as one line came from.
TRACEBACK_VARIABLE = 'LCNET_MM_TRACEBACK'

# What mmengine raises while it builds from a config: a config that cannot be built is the user's to mend.
BUILD_ERRORS = (KeyError, TypeError, ValueError, AttributeError, AssertionError, ImportError, OSError, RuntimeError)


class UserError(Exception):
    """Something that the user can mend: its message names the thing, what it was and what to do."""


@contextmanager
def as_user_error(doing: str, *kinds: type[Exception]) -> Iterator[None]:
    """Turn exceptions of these kinds into a :class:`UserError` that begins with what was being done."""
    try:
        yield
    except kinds as error:
        message = error.args[0] if isinstance(error, KeyError) and error.args else error
        raise UserError(f'{doing}: {type(error).__name__}: {message}') from error


def run_cli(main: Callable[[], int | None]) -> NoReturn:
    """Run a command line and exit with its code: 1 and one line for a user's mistake, 130 for Ctrl-C."""
    message = ''
    try:
        code = main() or 0
    except UserError as error:
        if os.environ.get(TRACEBACK_VARIABLE):
            raise
        # From a data loader's worker the message comes after the worker's traceback.
        message = 'error: ' + ' '.join(str(error).rsplit('UserError: ', 1)[-1].split())
        code = 1
    except KeyboardInterrupt:
        message = 'interrupted'
        code = 130
    # Only now are the frames of the exception gone, and with them progress bars, which clear their line when they go.
    if message:
        print(message, file=sys.stderr)
    sys.exit(code)
