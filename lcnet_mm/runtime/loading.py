"""Opening an export without knowing its task."""

from __future__ import annotations

from pathlib import Path

from .description import read_description
from .detector import Detector
from .models import Classifier, Model, Segmentor

MODELS: dict[str, type[Model]] = {cls.task: cls for cls in (Detector, Segmentor, Classifier) if cls.task}


def load_model(
    path: str | Path, threads: int | None = None, int8: bool = False, cache_dir: str | Path | None = None
) -> Model:
    """Open an export with the class for its task.

    Args:
        path: The export's folder, its ``model.json`` or one of its ``.xml``.
        threads: Threads of one inference; all cores by default.
        int8: Whether to run the quantized network of the export.
        cache_dir: Folder in which OpenVINO keeps compiled models; none by default.

    Raises:
        UserError: as :class:`Model`.
    """
    description, _ = read_description(path, int8)
    return MODELS[description['task']](path, threads, int8, cache_dir)
