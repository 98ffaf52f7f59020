"""Make what is timed from configs, exported files and modules: ONNX or OpenVINO files with a fixed input size."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import openvino
import torch
from mmdeploy.core import RewriterContext
from mmengine.config import Config
from torch import Tensor, nn

from ..data.spec import pipeline_size, test_pipeline
from ..deploy.export import quiet
from ..deploy.rewriters import first_argmax
from ..runtime.description import read_description
from ..utils.config import load_config
from ..utils.errors import BUILD_ERRORS, UserError, as_user_error
from ..utils.models import build_model, fold_branches
from ..utils.openvino import openvino_core

_SUFFIXES = ('.xml', '.onnx')
# mmdeploy's rewriters replace the parts of mmdet's models that PyTorch cannot export, such as RTMDet's attention.
_REWRITERS = dict(
    backend_config=dict(type='onnxruntime'),
    codebase_config=dict(type='mmdet', task='ObjectDetection'),
    onnx_config=dict(input_shape=None),
)


@dataclass
class Network:
    """A network that can be timed.

    Attributes:
        name: The name in the tables.
        file: The ``.onnx`` or ``.xml`` file.
        input_shape: ``(1, C, H, W)``.
        module: The PyTorch module, or None for a network that was loaded from a file.
        facts: Further columns of the tables, such as the paper's milliseconds, by name.
    """

    name: str
    file: Path
    input_shape: tuple[int, ...]
    module: nn.Module | None = None
    facts: dict[str, Any] = field(default_factory=dict)


class DetectorNetwork(nn.Module):
    """A detector from ``(1, C, H, W)`` to the output of its head: scores and boxes of a PicoDet, raw maps of others.

    Args:
        model: The detector of mmdet.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> Any:
        """Run the wrapped model on an image ``(1, C, H, W)``."""
        features = self.model.extract_feat(image)
        head = self.model.bbox_head
        return head.get_scores_and_boxes(features) if hasattr(head, 'get_scores_and_boxes') else head(features)


class SegmentorNetwork(nn.Module):
    """A segmentor from ``(1, C, H, W)`` to class indices ``(1, 1, H, W)``.

    Args:
        model: The segmentor of mmseg.
        with_classes: Whether to enlarge the logits and look for the largest; False ends with the logits of the head.
    """

    def __init__(self, model: Any, with_classes: bool = True) -> None:
        super().__init__()
        self.model = model
        self.with_classes = with_classes

    def forward(self, image: Tensor) -> Tensor:
        """Run the wrapped model on an image ``(1, C, H, W)``."""
        logits: Tensor = self.model.decode_head(self.model.extract_feat(image))
        if not self.with_classes:
            return logits
        size, align_corners = image.shape[2:], self.model.align_corners
        return first_argmax(nn.functional.interpolate(logits, size, mode='bilinear', align_corners=align_corners))


class ClassifierNetwork(nn.Module):
    """A classifier from ``(1, C, H, W)`` to logits ``(1, classes)``.

    Args:
        model: The classifier of mmpretrain.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> Tensor:
        """Run the wrapped model on an image ``(1, C, H, W)``."""
        # Not the model's forward, which mmdeploy rewrites so that it ends with a softmax.
        result: Tensor = self.model.head(self.model.extract_feat(image))
        return result


_WRAPPERS: dict[str, type[nn.Module]] = {
    'mmdet': DetectorNetwork,
    'mmseg': SegmentorNetwork,
    'mmpretrain': ClassifierNetwork,
}


def build_network(cfg: Config) -> nn.Module:
    """Build the model of a config, with random weights, as a module from the normalized image to the output.

    Branches that fold at the export are folded.

    A config of a backbone alone, whose ``model`` has no ``backbone``, gives the backbone.
    """
    model = fold_branches(build_model(cfg))
    if 'backbone' not in cfg.model:
        return model.eval()
    return _WRAPPERS[cfg.get('default_scope')](model).eval()


def _input_size(cfg: Config) -> tuple[int, int] | None:
    """Return height and width of the images that the config's test pipeline gives, or None if they vary."""
    size = pipeline_size(test_pipeline(cfg))
    return (size[1], size[0]) if size else None


def export_network(name: str, module: nn.Module, size: tuple[int, int], folder: Path, channels: int = 3) -> Network:
    """Export a module to ONNX with a fixed input size.

    Args:
        name: The name in the tables.
        module: A module from images ``(1, channels, H, W)`` to tensors.
        size: Height and width of the input.
        folder: The folder for the file.
        channels: Channels of the input.
    """
    file = folder / f'{len(list(folder.glob("*.onnx")))}.onnx'
    shape = (1, channels, *size)
    # Entering the rewriters takes seconds in a large process, and only models of mmdet and mmseg need them.
    needed = isinstance(module, DetectorNetwork | SegmentorNetwork)
    rewriters = (
        RewriterContext(Config(_REWRITERS), 'onnxruntime', opset=14)  # type: ignore[arg-type]  # a Config is a dict here
        if needed
        else nullcontext()
    )
    with torch.no_grad(), quiet(), rewriters:
        torch.onnx.export(module.eval(), (torch.zeros(shape),), str(file), opset_version=14, dynamo=False)
    return Network(name, file, shape, module)


def load_networks(paths: Sequence[str], folder: Path, size: tuple[int, int] | None = None) -> list[Network]:
    """Load networks from configs, ``.onnx`` and ``.xml`` files, and the folders of exports.

    Args:
        paths: Configs, files and folders.
        folder: A folder for temporary files.
        size: Height and width of the input; by default those of a config's test images, or of a file's input.

    Raises:
        UserError: a path does not exist or cannot be converted, its input size is not known, or it has another size.
    """
    networks: list[Network] = []
    for path in paths:
        if Path(path).is_dir():
            _, file = read_description(path)
            networks.append(_open_file(path, file, size))
        elif Path(path).suffix in _SUFFIXES:
            networks.append(_open_file(path, Path(path), size))
        else:
            cfg = load_config(path)
            if 'model' not in cfg:
                raise UserError(f'config {path} has no model')
            fitting = size or _input_size(cfg)
            if fitting is None:
                raise UserError(f'config {path} has no fixed input size; name its height and width')
            with as_user_error(f'the model of {path} cannot be converted', *BUILD_ERRORS):
                networks.append(export_network(path, build_network(cfg), fitting, folder))
    return networks


def _open_file(name: str, file: Path, size: tuple[int, int] | None) -> Network:
    """Return the network of a model's file.

    Raises:
        UserError: the file does not exist, cannot be read, or has several inputs; its input is dynamic and no size is
            given, or it is static and another size is given.
    """
    if not file.is_file():
        raise UserError(f'model {file} does not exist')
    try:
        model = openvino_core().read_model(file)
    except RuntimeError as error:
        raise UserError(f'model {file} cannot be read by OpenVINO: {str(error).splitlines()[0]}') from error
    if len(model.inputs) != 1:
        raise UserError(f'model {file} has {len(model.inputs)} inputs; only models with one, an image, can be timed')
    shape = model.inputs[0].partial_shape
    if shape.is_dynamic:
        if size is None:
            raise UserError(f'model {file} has the dynamic input {shape}; name its height and width')
        return Network(name, file, (1, 3, *size))
    static = tuple(shape.to_shape())
    if size is not None and size not in (static[-2:], static[1:3]):
        raise UserError(
            f'the size {size[0]}x{size[1]} has no effect on {name}, '
            f'whose input is fixed to {"x".join(map(str, static))}'
        )
    return Network(name, file, static)


def read_openvino(network: Network) -> openvino.Model:
    """Read the network as an OpenVINO model with a static input shape."""
    model = openvino_core().read_model(network.file)
    if model.inputs[0].partial_shape.is_dynamic:
        model.reshape(list(network.input_shape))
    return model
