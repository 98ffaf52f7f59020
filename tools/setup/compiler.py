"""A C++ compiler that parses torch's headers once for a whole build.

:func:`make_compiler` writes a small program that passes every call on to the real compiler. The first compilation also
makes a precompiled header of ``torch/types.h`` from exactly the flags of that call, because gcc ignores one that was
made with others. Parsing this header is most of the time that a source file of mmcv takes.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

SOURCES = ('.cpp', '.cc', '.cxx')
FOLDER, COMPILER = 'LCNET_MM_PCH_FOLDER', 'LCNET_MM_PCH_COMPILER'


def find_compiler(environment: Mapping[str, str] = os.environ) -> list[str] | None:
    """Return the command of the C++ compiler that torch would take, or None without one."""
    given = shlex.split(environment.get('CXX', ''))
    for command in (given, ['c++'], ['g++']):
        if command and shutil.which(command[0]):
            return command
    return None


def is_gcc(command: list[str]) -> bool:
    """Whether a compiler is GCC; other compilers have other precompiled headers."""
    version = subprocess.run([*command, '-v'], capture_output=True, text=True, check=False)
    return '\ngcc version' in f'\n{version.stderr}'


def make_compiler(folder: Path, command: list[str]) -> dict[str, str]:
    """Write the program into an empty folder.

    Args:
        folder: Also holds the precompiled headers, about 400 MB. It must outlive the build.
        command: The real compiler.

    Returns:
        Environment variables of the build.
    """
    program = folder / 'c++'
    program.write_text(
        f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {shlex.quote(str(Path(__file__).resolve()))} "$@"\n'
    )
    program.chmod(0o755)
    return {'CXX': str(program), FOLDER: str(folder), COMPILER: shlex.join(command)}


def header_flags(arguments: list[str]) -> list[str] | None:
    """Return the flags of a compilation without its files, or None if the call compiles no C++ source."""
    if '-c' not in arguments or '-o' not in arguments:
        return None
    flags, skip, sources = [], False, 0
    for argument in arguments:
        if skip:
            skip = False
        elif argument in ('-o', '-MF', '-MT', '-MQ'):
            skip = True
        elif argument.endswith(SOURCES) and not argument.startswith('-'):
            sources += 1
        elif argument not in ('-c', '-MMD', '-MD'):
            flags.append(argument)
    return flags if sources == 1 else None


def precompiled_header(folder: Path, compiler: list[str], flags: list[str]) -> Path | None:
    """Return a header that was precompiled with these flags, made by the first caller; None where that fails."""
    place = folder / hashlib.sha256('\0'.join(flags).encode()).hexdigest()[:16]
    place.mkdir(exist_ok=True)
    header, compiled, failed = place / 'torch_types.h', place / 'torch_types.h.gch', place / 'failed'
    with (place / 'lock').open('w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not compiled.exists() and not failed.exists():
            header.write_text('#include <torch/types.h>\n')
            made = subprocess.run(
                [*compiler, *flags, '-x', 'c++-header', str(header), '-o', str(compiled)], check=False
            )
            if made.returncode != 0:
                compiled.unlink(missing_ok=True)
                failed.touch()
    return None if failed.exists() else header


def main() -> int:
    """Compile as the arguments say, with the precompiled header where it helps."""
    compiler, arguments = shlex.split(os.environ[COMPILER]), sys.argv[1:]
    flags = header_flags(arguments)
    header = precompiled_header(Path(os.environ[FOLDER]), compiler, flags) if flags is not None else None
    if header is not None:
        command = [*compiler, '-Winvalid-pch', '-include', str(header), *arguments]
        if subprocess.run(command, check=False).returncode == 0:
            return 0
    # Not a compilation, or one that fails with the header: exactly the call that was asked for.
    return subprocess.run([*compiler, *arguments], check=False).returncode


if __name__ == '__main__':
    sys.exit(main())
