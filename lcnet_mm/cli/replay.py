"""Run a training step again that was not finite."""

from __future__ import annotations

import argparse

from ..apis import replay_step

DESCRIPTION = (
    'Run a training step again on the CPU, from the file that a training left because a loss, a gradient or a weight '
    'was not finite: its losses, and the first module whose output is not finite.'
)
EXAMPLES = ('work_dirs/first/nonfinite_step_120.pth',)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument('dump', metavar='STEP.pth', help='nonfinite_step_N.pth in the work dir of the training')


def run(args: argparse.Namespace) -> None:
    """Run the command."""
    print(replay_step(args.dump).format_table())
