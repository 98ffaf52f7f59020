"""Write the README tables from the metafiles."""

import argparse
from pathlib import Path

from lcnet_mm.utils.errors import run_cli
from lcnet_mm.weights.metafiles import update_readmes


def main() -> None:
    """Run the command."""
    argparse.ArgumentParser(
        description='Write the tables of the READMEs from configs/*/metafile.yml.',
        epilog='example: python tools/update_readmes.py',
    ).parse_args()
    changed = update_readmes(Path(__file__).parents[1])
    print('\n'.join(f'wrote {path}' for path in changed) or 'all tables are up to date')


if __name__ == '__main__':
    run_cli(main)
