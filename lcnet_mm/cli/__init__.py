"""The command line ``lcnet``: each command parses its arguments, calls one function of this package, and prints.

The commands are modules of this package with ``DESCRIPTION``, ``EXAMPLES``, ``add_arguments`` and ``run``. A module is
imported when its command is called, so that ``lcnet --help`` does not wait for all libraries.
"""

from __future__ import annotations

import argparse
import re
import shutil
import textwrap
from collections.abc import Sequence
from importlib import import_module
from typing import NamedTuple, NoReturn

from ..utils.errors import UserError, run_cli
from ..utils.optional import require
from ..utils.telemetry import disable_telemetry
from ..version import __version__

__all__ = ['COMMANDS', 'main', 'run_command']


class _Command(NamedTuple):
    """What is known about a command before its module is imported.

    Attributes:
        summary: One line for the list of commands.
        extra: The extra of this package that brings what the command needs.
    """

    summary: str
    extra: str


# Packages whose absence says that an extra is not installed.
_PACKAGES = {'backbone': ('torch', 'mmengine', 'mmcv'), 'deploy': ('torch', 'mmengine', 'mmcv', 'mmdeploy', 'openvino')}

COMMANDS = {
    'train': _Command('train a detector, segmentor or classifier', 'backbone'),
    'test': _Command("evaluate a checkpoint with its config's metrics", 'backbone'),
    'replay': _Command('run a training step again that was not finite', 'backbone'),
    'predict': _Command('run a checkpoint on images and draw the results', 'backbone'),
    'deploy': _Command('export a checkpoint to ONNX and OpenVINO, and quantize it', 'deploy'),
    'benchmark': _Command('measure and compare the latency of networks', 'deploy'),
    'benchmark-runtime': _Command('compare the runtime with mmdet and mmdeploy, from file to detections', 'deploy'),
    'benchmark-training': _Command('measure where the time of a training step goes', 'deploy'),
    'complexity': _Command('count parameters, multiply-adds and FLOPs', 'backbone'),
    'check': _Command('check the data of a config, an annotation file, a list or a folder', 'backbone'),
    'data': _Command('convert a data set of a labeling tool, and split it', 'backbone'),
    'init': _Command('write a first config for a converted data set', 'backbone'),
    'convert': _Command('convert published weights into a checkpoint', 'backbone'),
    'weights': _Command('list, describe and get published weights by name', 'backbone'),
    'compare': _Command('train configs with several seeds and compare a metric', 'backbone'),
    'mine': _Command('choose images of an unlabeled pool for distillation', 'backbone'),
    'cityscapes': _Command('check a Cityscapes folder and write the label maps for training', 'backbone'),
    'demo': _Command('train, evaluate, show and export a model on drawn data', 'deploy'),
    'demo-data': _Command('make the data of the demos', 'backbone'),
}

_DESCRIPTION = 'Train, evaluate, export and measure PP-LCNet models of mmdet, mmsegmentation and mmpretrain.'
_CONFIGS = (
    'A config is a file, or an installed config by its name: lcnet_mm::picodet_like/lcnet_1x_coco.py. Where '
    'configs/picodet_like/lcnet_1x_coco.py does not exist in the current folder, it is taken from the installed '
    'package. A mistake in the arguments, a config or the data is one line on standard error and exit code 1.'
)
_EXAMPLES = (
    'demo --work-dir work_dirs/demo',
    'train configs/picodet_like/lcnet_1x_coco.py --work-dir work_dirs/first',
    'train --help',
)


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run ``lcnet COMMAND …`` and exit with the command's code.

    Args:
        argv: The arguments; those of the process by default.
    """
    width = max(map(len, COMMANDS))
    commands = '\n'.join(f'  {name:<{width}}  {command.summary}' for name, command in COMMANDS.items())
    parser = _parser('lcnet', _DESCRIPTION, f'commands:\n{commands}\n\n{_wrap(_CONFIGS)}', _EXAMPLES)
    parser.add_argument('--version', action='version', version=f'lcnet-mm {__version__}')
    parser.add_argument('command', choices=COMMANDS, metavar='COMMAND', help='one of the commands below')
    parser.add_argument(
        'arguments', nargs=argparse.REMAINDER, metavar='…', help='its arguments; COMMAND --help describes them'
    )
    args = parser.parse_args(argv)
    run_command(args.command, args.arguments, f'lcnet {args.command}')


def run_command(command: str, argv: Sequence[str], prog: str) -> NoReturn:
    """Run one command and exit with its code.

    Args:
        command: One of :data:`COMMANDS`.
        argv: Its arguments.
        prog: Name of the command in its usage.
    """
    # Before the command imports OpenVINO or NNCF.
    disable_telemetry()

    def run() -> int | None:
        _require_extra(command)
        module = import_module(f'.{command.replace("-", "_")}', __name__)
        parser = _parser(prog, module.DESCRIPTION, '', module.EXAMPLES)
        module.add_arguments(parser)
        args = parser.parse_args(argv)
        try:
            code: int | None = module.run(args)
        except UserError as error:
            raise UserError(_name_options(str(error), parser.format_usage())) from error
        return code

    run_cli(run)


def _parser(prog: str, description: str, epilog: str, examples: Sequence[str]) -> argparse.ArgumentParser:
    """Build a parser whose help ends with examples on lines of their own, to be copied."""
    lead = 'example: '
    lines = [f'{lead if index == 0 else " " * len(lead)}{prog} {text}' for index, text in enumerate(examples)]
    return argparse.ArgumentParser(
        prog=prog,
        description=_wrap(description),
        epilog='\n\n'.join(filter(None, (epilog, '\n'.join(lines)))),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _wrap(text: str) -> str:
    """Break a paragraph into lines as argparse does."""
    return textwrap.fill(text, max(shutil.get_terminal_size().columns - 2, 20))


def _name_options(message: str, usage: str) -> str:
    """Replace names of arguments in a message of the library by the options of the command.

    >>> _name_options('rounds must be at least 2', 'usage: lcnet benchmark [--rounds N]')
    '--rounds must be at least 2'
    """
    for option in set(re.findall(r'--([a-z][a-z-]*)', usage)):
        name = option.replace('-', '_')
        # A plain word is the name of an argument at the start only; part of a path or of a config's key never is.
        start = r'(?<![\w./-])' if '_' in name else '^'
        message = re.sub(rf'{start}{name}(?![\w./-])', f'--{option}', message)
    return message


def _require_extra(command: str) -> None:
    """Check that the packages of a command's extra are installed.

    Raises:
        UserError: one is missing; the message has the pip command.
    """
    extra = COMMANDS[command].extra
    try:
        for package in _PACKAGES[extra]:
            require(package, f'lcnet {command}', extra)
    except ImportError as error:
        raise UserError(str(error)) from error
