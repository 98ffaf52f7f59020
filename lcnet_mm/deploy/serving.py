"""The folder layout that OpenVINO Model Server loads models from."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from ..utils.errors import UserError, as_user_error

LAYOUTS = ('files', 'ovms')


def check_layout(layout: str, backend: str) -> None:
    """Check a layout before the work.

    Raises:
        UserError: it is unknown, or the server cannot run the models of this backend with their preprocessing.
    """
    if layout not in LAYOUTS:
        raise UserError(f'layout {layout!r} is unknown; use {" or ".join(LAYOUTS)}')
    if layout == 'ovms' and backend != 'openvino':
        raise UserError(f'the layout of OpenVINO Model Server needs an openvino deploy config, got one for {backend}')


def write_version(model_file: Path, number: int = 1) -> Path:
    """Copy a model into the folder of a version, ``NUMBER/model.xml`` and ``.bin``, next to it.

    The folder of the export is then what OpenVINO Model Server takes as ``--model_path``; it looks at the folders of
    versions only.

    Args:
        model_file: The ``.xml`` file.
        number: Number of the version; an older copy is replaced.

    Returns:
        The folder of the version.

    Raises:
        UserError: it cannot be written.
    """
    folder = model_file.parent / str(number)
    with (
        as_user_error(f'{folder} cannot be written', OSError),
        tempfile.TemporaryDirectory(dir=model_file.parent, prefix='.partial-') as partial,
    ):
        # The weights first: a model is complete as soon as its .xml is there.
        for suffix in ('.bin', '.xml'):
            shutil.copyfile(model_file.with_suffix(suffix), Path(partial, f'model{suffix}'))
        folder.mkdir(exist_ok=True)
        for suffix in ('.bin', '.xml'):
            os.replace(Path(partial, f'model{suffix}'), folder / f'model{suffix}')
    return folder
