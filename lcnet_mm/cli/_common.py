"""Arguments and output that several commands share."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from mmengine.config import DictAction

from ..utils.distributed import LAUNCHERS
from ..utils.errors import UserError, as_user_error
from ..utils.files import write_json

# How every command finds its configs; lcnet_mm.utils.config does it.
CONFIG_HELP = 'config file; configs/… is also found in the installed package'
CONFIGS_HELP = 'config files; configs/… is also found in the installed package'


class _Options(DictAction):
    """mmengine's reader of ``KEY=VALUE``, whose mistakes are one line."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        """Read the overrides.

        Raises:
            UserError: one of them has no ``=``, no name, or a value that cannot be read.
        """
        for value in values:
            name, equals, _ = value.partition('=')
            if not equals or not all(name.split('.')):
                raise UserError(f'{option_string} takes KEY=VALUE, got {value!r}')
            with as_user_error(f'{option_string} {value} cannot be read', Exception):
                super().__call__(parser, namespace, [value], option_string or '')


def add_options(
    parser: argparse.ArgumentParser, of: str = 'the config', example: str = 'train_dataloader.batch_size=32'
) -> None:
    """Add ``--cfg-options`` for overrides of a config."""
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=_Options,
        metavar='KEY=VALUE',
        help=f'override settings of {of}, for example {example}',
    )


def add_launcher(parser: argparse.ArgumentParser) -> None:
    """Add ``--launcher`` for a command that runs in several processes."""
    parser.add_argument('--launcher', choices=LAUNCHERS, default='none', help='how several processes were started')


def add_json(parser: argparse.ArgumentParser, what: str) -> None:
    """Add ``--json`` for a file with what the command prints."""
    parser.add_argument('--json', type=Path, metavar='FILE', help=f'also write {what} to this JSON file')


def save_json(file: Path | None, content: Any) -> None:
    """Write a JSON file if one was asked for.

    Raises:
        UserError: it cannot be written.
    """
    if file is not None:
        with as_user_error(f'{file} cannot be written', OSError):
            write_json(file, content)
