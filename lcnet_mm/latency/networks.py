"""What is timed: configs, exported files and modules, all as an ONNX or OpenVINO file at a fixed size."""

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

from ..deploy.export import quiet
from ..deploy.rewriters import first_argmax
from ..utils.config import load_config
from ..utils.errors import BUILD_ERRORS, UserError, as_user_error
from ..utils.models import build_model
from ..utils.openvino import openvino_core

SUFFIXES = ('.xml', '.onnx')
# mmdeploy's rewriters take what today's tracer cannot convert out of mmdet's models, such as RTMDet's attention.
REWRITERS = dict(
    backend_config=dict(type='onnxruntime'),
    codebase_config=dict(type='mmdet', task='ObjectDetection'),
    onnx_config=dict(input_shape=None),
)


@dataclass
class Network:
    """A network that can be timed.

    Attributes:
        name: As the tables show it.
        file: The ``.onnx`` or ``.xml`` file, of batch 1 and static shape.
        input_shape: ``(1, C, H, W)``.
        module: The PyTorch module, where there is one.
        facts: What is known about it from elsewhere, such as the paper's milliseconds, by column.
    """

    name: str
    file: Path
    input_shape: tuple[int, ...]
    module: nn.Module | None = None
    facts: dict[str, Any] = field(default_factory=dict)


class DetectorNetwork(nn.Module):
    """A detector from ``(1, 3, H, W)`` to what its head gives: scores and boxes of a PicoDet, raw maps of others."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> Any:
        """Run the wrapped model on an image ``(1, C, H, W)``."""
        features = self.model.extract_feat(image)
        head = self.model.bbox_head
        return head.get_scores_and_boxes(features) if hasattr(head, 'get_scores_and_boxes') else head(features)


class SegmentorNetwork(nn.Module):
    """A segmentor from ``(1, 3, H, W)`` to class indices ``(1, 1, H, W)``."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> Tensor:
        """Run the wrapped model on an image ``(1, C, H, W)``."""
        logits = self.model.decode_head(self.model.extract_feat(image))
        size, align_corners = image.shape[2:], self.model.align_corners
        return first_argmax(nn.functional.interpolate(logits, size, mode='bilinear', align_corners=align_corners))


class ClassifierNetwork(nn.Module):
    """A classifier from ``(1, 3, H, W)`` to logits ``(1, classes)``."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> Tensor:
        """Run the wrapped model on an image ``(1, C, H, W)``."""
        # Not the model's own forward: mmdeploy's rewriter of it ends with a softmax.
        result: Tensor = self.model.head(self.model.extract_feat(image))
        return result


WRAPPERS: dict[str, type[nn.Module]] = dict(mmdet=DetectorNetwork, mmseg=SegmentorNetwork, mmpretrain=ClassifierNetwork)


def build_network(cfg: Config) -> nn.Module:
    """Build a config's model with its initial weights as a function from the normalised image.

    A config of a backbone alone, whose ``model`` has no ``backbone``, gives the backbone.
    """
    model = build_model(cfg)
    if 'backbone' not in cfg.model:
        return model.eval()
    return WRAPPERS[cfg.get('default_scope')](model).eval()


def input_size(cfg: Config) -> tuple[int, int] | None:
    """Height and width of the config's test images, or None where they have no fixed size."""
    size = None
    for step in cfg.get('test_pipeline') or ():
        kind = step['type'].split('.')[-1]
        if kind == 'Resize':
            width, height = step['scale']
            size = height, width
        elif kind == 'CenterCrop':
            crop = step['crop_size']
            size = (crop, crop) if isinstance(crop, int) else tuple(crop)
        elif kind == 'Pad' and step.get('size'):
            size = tuple(step['size'])
    return size


def export_network(name: str, module: nn.Module, size: tuple[int, int], folder: Path, channels: int = 3) -> Network:
    """Write a module as ONNX at a fixed size.

    Args:
        name: As the tables show it.
        module: From images ``(1, channels, H, W)`` to tensors.
        size: Height and width.
        folder: For the file.
        channels: Of the input.
    """
    file = folder / f'{len(list(folder.glob("*.onnx")))}.onnx'
    shape = (1, channels, *size)
    # Batch norms of trained networks are not the identity, which converters would drop.
    # Entering the rewriters takes seconds in a large process, and only models of mmdet and mmseg need them.
    needed = isinstance(module, DetectorNetwork | SegmentorNetwork)
    rewriters = (
        RewriterContext(Config(REWRITERS), 'onnxruntime', opset=14)  # type: ignore[arg-type]  # a Config is a dict here
        if needed
        else nullcontext()
    )
    with torch.no_grad(), quiet(), rewriters:
        torch.onnx.export(module.eval(), (torch.zeros(shape),), str(file), opset_version=14, dynamo=False)
    return Network(name, file, shape, module)


def load_networks(paths: Sequence[str], folder: Path, size: tuple[int, int] | None = None) -> list[Network]:
    """Make networks from configs, ``.onnx`` and ``.xml`` files, and folders that ``tools/deploy.py`` wrote.

    Args:
        paths: What the user named.
        folder: For temporary files.
        size: Height and width for configs, and for files with a dynamic input; a config's own test size by default.

    Raises:
        UserError: a path does not exist or cannot be converted.
    """
    networks: list[Network] = []
    for path in paths:
        if Path(path).is_dir():
            from ..runtime.models import read_description

            _, file = read_description(path)
            networks.append(open_file(path, file, size))
        elif Path(path).suffix in SUFFIXES:
            networks.append(open_file(path, Path(path), size))
        else:
            cfg = load_config(path)
            if 'model' not in cfg:
                raise UserError(f'config {path} has no model')
            fitting = size or input_size(cfg)
            if fitting is None:
                raise UserError(f'config {path} has no fixed input size; name one with --shape H W')
            with as_user_error(f'the model of {path} cannot be converted', *BUILD_ERRORS):
                networks.append(export_network(path, build_network(cfg), fitting, folder))
    return networks


def open_file(name: str, file: Path, size: tuple[int, int] | None) -> Network:
    """Look at the input of a model's file.

    Raises:
        UserError: the file does not exist, cannot be read, has several inputs, or has a dynamic one and no size is
            given.
    """
    if not file.is_file():
        raise UserError(f'model {file} does not exist')
    try:
        model = openvino_core().read_model(file)
    except RuntimeError as error:
        raise UserError(f'model {file} cannot be read by OpenVINO: {str(error).splitlines()[0]}') from error
    if len(model.inputs) != 1:
        raise UserError(f'model {file} has {len(model.inputs)} inputs, only models of one image can be timed')
    shape = model.inputs[0].partial_shape
    if shape.is_dynamic:
        if size is None:
            raise UserError(f'model {file} has the dynamic input {shape}; name a size with --shape H W')
        return Network(name, file, (1, 3, *size))
    return Network(name, file, tuple(shape.to_shape()))


def read_openvino(network: Network) -> openvino.Model:
    """Return the network as an OpenVINO model with its static shape."""
    model = openvino_core().read_model(network.file)
    if model.inputs[0].partial_shape.is_dynamic:
        model.reshape(list(network.input_shape))
    return model
