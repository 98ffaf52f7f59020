"""Published weights by name."""

from __future__ import annotations

import argparse

from ..apis import UserError, get_weights
from ..weights.catalog import find_weights, format_catalog

DESCRIPTION = (
    'List published weights, say what is known about them, or get them: downloaded, converted and kept in the cache '
    '(LCNET_MM_HOME). LCNET_MM_WEIGHTS names a folder with published files, or the address of a mirror. Configs use '
    "them as load_from = 'lcnet://NAME'."
)
EXAMPLES = ('list', 'show picodet_s_320_coco', 'get picodet_s_320_coco')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument('action', choices=('list', 'show', 'get'), help='what to do')
    parser.add_argument('name', nargs='?', help='name in the list, for show and get')


def run(args: argparse.Namespace) -> None:
    """Run the command."""
    if args.action == 'list':
        print(format_catalog())
    elif args.name is None:
        raise UserError(f'{args.action} needs a name; lcnet weights list shows all')
    elif args.action == 'show':
        print(find_weights(args.name).describe())
    else:
        print(get_weights(args.name))
