"""Images on their way into the network, as the config's test pipeline and the description of an export see them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mmcv.transforms import Compose
from mmengine.config import ConfigDict
from mmengine.dataset import pseudo_collate
from mmengine.registry import DefaultScope
from torch import Tensor

from ..runtime.preprocessing import apply_steps
from ..utils.errors import as_user_error
from ..utils.images import read_image


@dataclass(frozen=True)
class PixelCheck:
    """How the pixels that the runtime gives to the network compare with those of the config's test pipeline.

    Attributes:
        passed: Whether they are equal; beside the image the runtime may pad.
        detail: What differs, in words.
    """

    passed: bool
    detail: str

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON types."""
        return asdict(self)


def run_pipeline(steps: Sequence[ConfigDict], scope: str, image: str | Path) -> dict[str, Any]:
    """Run a test pipeline on an image file.

    Args:
        steps: From loading to packing.
        scope: The library whose transforms they are.
        image: The file.

    Returns:
        ``inputs`` ``(C, H, W)`` and ``data_samples``.

    Raises:
        UserError: a step cannot be built, or it fails.
    """
    with (
        DefaultScope.overwrite_default_scope(scope),
        as_user_error(f'the test pipeline cannot be run on {image}', Exception),
    ):
        sample: Any = Compose(list(steps))(dict(img_path=str(image), img_id=0))
        if sample is None:
            raise ValueError('it gives nothing')
    result: dict[str, Any] = sample
    return result


def load_input(processor: Any, image: str | Path, preprocessor: Any) -> tuple[dict[str, Any], Tensor]:
    """Bring an image into the form in which the network gets it.

    Unlike mmdeploy's ``create_input`` this reads the file as the config's own first step does.

    Args:
        processor: mmdeploy's task processor, whose test pipeline has the size of the export.
        image: The file.
        preprocessor: The model's data preprocessor.

    Returns:
        The batch as the model's ``predict`` takes it, and its ``inputs`` ``(1, C, H, W)``.
    """
    data: dict[str, Any] = preprocessor(raw_input(processor, image), False)
    inputs: Tensor = data['inputs']
    return data, inputs


def raw_input(processor: Any, image: str | Path) -> Any:
    """Return a batch of one image as the data loader of a test gives it to ``model.test_step``."""
    cfg = processor.model_cfg
    return pseudo_collate([run_pipeline(cfg.test_pipeline, cfg.default_scope, image)])


def check_pixels(steps: Sequence[ConfigDict], scope: str, entry: dict[str, Any], image: str | Path) -> PixelCheck:
    """Compare the pixels of the runtime with those of a test pipeline.

    Args:
        steps: The config's own steps at the size of the export.
        scope: The library whose transforms they are.
        entry: ``input`` of ``model.json``.
        image: The image file.
    """
    expected = run_pipeline(steps, scope, image)['inputs'].permute(1, 2, 0).numpy()
    found, _ = apply_steps(read_image(image, entry['read']), entry)
    height, width = expected.shape[:2]
    sizes = f'{width}x{height} pixels, the export {found.shape[1]}x{found.shape[0]}'
    if height > found.shape[0] or width > found.shape[1] or expected.shape[2] != found.shape[2]:
        return PixelCheck(False, f'the test pipeline gives {sizes}')
    # A static shape has room for other images too.
    difference = int(np.abs(found[:height, :width].astype(int) - expected.astype(int)).max(initial=0))
    if difference:
        return PixelCheck(False, f'pixels differ by up to {difference} of 255 (the test pipeline gives {sizes})')
    return PixelCheck(True, f'all pixels are equal (the test pipeline gives {sizes})')
