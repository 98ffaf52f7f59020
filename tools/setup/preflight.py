"""Say before a long set-up what would make it fail; an old Python comes far enough to hear that it is old."""

import ctypes.util
import os
import shutil
import sys
import tempfile

# Oldest and newest Python by stack. The setup.py of mmcv 2.1 reads its version out of locals(), which Python 3.13 no
# longer fills; the fork's does not.
VERSIONS = {'openmmlab': ((3, 11), (3, 12)), 'onedl': ((3, 11), (3, 13))}
# What the installed environment takes, and what pip holds in its temporary folder while it unpacks PyTorch.
VENV_GB = 8
TEMPORARY_GB = 4
# Shared libraries that opencv-python opens and a slim machine lacks, with the Debian packages that have them.
LIBRARIES = {'GL': 'libgl1', 'glib-2.0': 'libglib2.0-0', 'gthread-2.0': 'libglib2.0-0'}


def is_supported(stack):
    """Whether this Python is one that the stack is tested on."""
    oldest, newest = VERSIONS[stack]
    return oldest <= tuple(sys.version_info[:2]) <= newest


def find_problems(target, stack):
    """Find what is wrong, a line each.

    Args:
        target: Folder of the virtual environment; it need not exist.
        stack: 'openmmlab' or 'onedl'.
    """
    problems = []
    if stack not in VERSIONS:
        return ['STACK=%s is unknown; use %s' % (stack, ' or '.join(sorted(VERSIONS)))]
    if not is_supported(stack):
        oldest, newest = VERSIONS[stack]
        problems.append(
            'Python %d.%d to %d.%d is needed for STACK=%s, %s is %d.%d; '
            'install one and run: make setup PYTHON=python%d.%d'
            % (oldest + newest + (stack, sys.executable) + tuple(sys.version_info[:2]) + newest)
        )
        # The checks below use a standard library that an old Python may not have.
        return problems
    try:
        import ensurepip
        import venv

        assert ensurepip and venv
    except ImportError:
        problems.append('Python has no venv module; on Debian and Ubuntu: apt-get install python3-venv')
    if shutil.which(os.environ.get('CXX', 'c++')) is None and shutil.which('g++') is None:
        problems.append(
            'no C++ compiler was found, and mmcv must be compiled; on Debian and Ubuntu: apt-get install g++'
        )
    missing = sorted({package for name, package in LIBRARIES.items() if ctypes.util.find_library(name) is None})
    if missing:
        problems.append(
            'OpenCV needs shared libraries that are missing; on Debian and Ubuntu: apt-get install ' + ' '.join(missing)
        )
    if not os.path.exists(target):
        problems.extend(find_full_disks(target))
    return problems


def find_full_disks(target):
    """Find the disks that are too full for the set-up, a line each.

    Args:
        target: Folder of the virtual environment; it need not exist.
    """
    folder = os.path.abspath(target)
    while not os.path.exists(folder):
        folder = os.path.dirname(folder)
    temporary = tempfile.gettempdir()
    needs = [(folder, VENV_GB, 'VENV'), (temporary, TEMPORARY_GB, 'TMPDIR')]
    if os.stat(folder).st_dev == os.stat(temporary).st_dev:
        needs = [(folder, VENV_GB + TEMPORARY_GB, 'VENV')]
    problems = []
    for path, needed, variable in needs:
        free = shutil.disk_usage(path).free / 1e9
        if free < needed:
            problems.append(
                '%s has %.1f GB free, the set-up needs %d GB there; free some or set %s'
                % (path, free, needed, variable)
            )
    return problems


def main():
    """Print the problems and exit with 1 if there are any.

    Arguments: ``TARGET STACK``, or ``--supports STACK`` to ask for the version of Python alone.
    """
    target, stack = sys.argv[1:]
    if target == '--supports':
        sys.exit(0 if is_supported(stack) else 1)
    problems = find_problems(target, stack)
    for problem in problems:
        sys.stderr.write('error: %s\n' % problem)
    sys.exit(1 if problems else 0)


if __name__ == '__main__':
    main()
