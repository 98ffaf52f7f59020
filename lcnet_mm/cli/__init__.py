"""The command line ``lcnet``: each command parses its arguments, calls what :mod:`lcnet_mm.apis` has, and prints.

The commands are modules of this package with ``DESCRIPTION``, ``EXAMPLE``, ``add_arguments`` and ``run``. A module is
imported when its command is called, so that ``lcnet --help`` does not wait for all libraries.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib import import_module
from typing import NamedTuple, NoReturn

from ..utils.errors import UserError, run_cli
from ..utils.optional import installed
from ..utils.telemetry import disable_telemetry
from ..version import __version__

__all__ = ['COMMANDS', 'main', 'run_command']


class Command(NamedTuple):
    """What is known of a command before its module is imported.

    Attributes:
        summary: One line for the list of commands.
        extra: The extra of this package that brings what the command needs.
    """

    summary: str
    extra: str


# Packages whose absence says that an extra is not installed.
PACKAGES = {'backbone': ('torch', 'mmengine', 'mmcv'), 'deploy': ('torch', 'mmengine', 'mmcv', 'mmdeploy', 'openvino')}

COMMANDS = {
    'train': Command('train a detector, segmentor or classifier', 'backbone'),
    'test': Command("evaluate a checkpoint with its config's metrics", 'backbone'),
    'predict': Command('run a checkpoint on images', 'backbone'),
    'deploy': Command('export a checkpoint to ONNX and OpenVINO, and quantize it', 'deploy'),
    'benchmark': Command('measure and compare the latency of networks', 'deploy'),
    'benchmark-runtime': Command('compare the runtime with mmdet and mmdeploy, end to end', 'deploy'),
    'benchmark-training': Command('measure where the time of a training step goes', 'backbone'),
    'complexity': Command('count parameters, multiply-adds and FLOPs', 'backbone'),
    'check': Command('check a COCO annotation file', 'backbone'),
    'convert': Command('convert published weights into a checkpoint', 'backbone'),
    'compare': Command('train configs with several seeds and compare a metric', 'backbone'),
    'mine': Command('mine a pool of unlabelled images for distillation', 'backbone'),
    'cityscapes': Command('check a Cityscapes folder and make the maps of train ids', 'backbone'),
    'demo': Command('train, evaluate, show and export a model on drawn data', 'deploy'),
    'demo-data': Command('make the data of the demos', 'backbone'),
}


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run ``lcnet COMMAND …`` and exit with the command's code.

    Args:
        argv: The arguments; those of the process by default.
    """
    width = max(map(len, COMMANDS))
    commands = '\n'.join(f'  {name:<{width}}  {command.summary}' for name, command in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog='lcnet',
        description='PP-LCNet for mmdet, mmsegmentation and mmpretrain.',
        epilog=f'commands:\n{commands}\n\nlcnet COMMAND --help describes a command.',
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('--version', action='version', version=f'lcnet-mm {__version__}')
    parser.add_argument('command', choices=COMMANDS, metavar='COMMAND', help='one of the commands below')
    parser.add_argument('arguments', nargs=argparse.REMAINDER, metavar='…', help='arguments of the command')
    args = parser.parse_args(argv)
    run_command(args.command, args.arguments, f'lcnet {args.command}')


def run_command(command: str, argv: Sequence[str], prog: str) -> NoReturn:
    """Run one command and exit with its code.

    Args:
        command: One of :data:`COMMANDS`.
        argv: Its arguments.
        prog: What its usage calls it.
    """
    disable_telemetry()

    def run() -> int | None:
        require_extra(command)
        module = import_module(f'.{command.replace("-", "_")}', __name__)
        parser = argparse.ArgumentParser(prog=prog, description=module.DESCRIPTION, epilog=module.EXAMPLE)
        module.add_arguments(parser)
        code: int | None = module.run(parser.parse_args(argv))
        return code

    run_cli(run)


def require_extra(command: str) -> None:
    """Check that the packages of a command's extra are installed.

    Raises:
        UserError: one is missing; the message has the pip command.
    """
    extra = COMMANDS[command].extra
    missing = [package for package in PACKAGES[extra] if not installed(package)]
    if missing:
        raise UserError(f"lcnet {command} needs the package {missing[0]!r}: pip install 'lcnet-mm[{extra}]'")
