"""What happens to an image: geometry by OpenCV, color and normalization inside the OpenVINO graph.

The resize stays outside: OpenCV's kernel on uint8 is the one that the model was trained and tested with, to the last
bit, and it is faster than the graph's, which has to take a new shape with every image (docs/deploy.md has the ratio).
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import openvino
from openvino import opset13 as opset
from openvino.preprocess import ColorFormat, PrePostProcessor

from ..utils.errors import UserError

KERNELS = dict(
    nearest=cv2.INTER_NEAREST,
    bilinear=cv2.INTER_LINEAR,
    bicubic=cv2.INTER_CUBIC,
    area=cv2.INTER_AREA,
    lanczos=cv2.INTER_LANCZOS4,
)
# The kernels of each library that resizes, by mmcv's names.
INTERPOLATIONS = dict(cv2=tuple(KERNELS), pillow=('nearest', 'bilinear', 'bicubic', 'box', 'lanczos', 'hamming'))


def apply_steps(image: np.ndarray, description: dict[str, Any]) -> tuple[np.ndarray, tuple[float, float]]:
    """Bring an image to the network's size; padding to a multiple of ``pad_size_divisor`` is done in the graph.

    Args:
        image: BGR ``(H, W, 3)`` or gray ``(H, W, 1)`` uint8.
        description: ``input`` of ``model.json``.

    Returns:
        The image ``(h, w, channels)``, and the factors of width and height by which it was resized.
    """
    scale = (1.0, 1.0)
    for step in description['steps']:
        height, width = image.shape[:2]
        if step['type'] == 'center_crop':
            crop_width, crop_height = step['size']
            top, left = max(0, round((height - crop_height) / 2)), max(0, round((width - crop_width) / 2))
            image = image[top : top + crop_height, left : left + crop_width]
            continue
        if step['type'] == 'pad':
            pad_width, pad_height = step['size']
            image = pad(image, max(0, pad_height - height), max(0, pad_width - width), step['value'])
            continue
        if step['type'] == 'resize_edge':
            size = edge_size(width, height, step['size'], step.get('edge', 'short'))
        elif step['type'] == 'resize_inside':
            factor = min(step['size'][0] / width, step['size'][1] / height)
            size = (int(width * factor + 0.5), int(height * factor + 0.5))
        elif step['keep_ratio']:
            longest, shortest = max(step['size']), min(step['size'])
            factor = min(longest / max(height, width), shortest / min(height, width))
            size = (int(width * factor + 0.5), int(height * factor + 0.5))
        else:
            size = tuple(step['size'])
        size = (max(1, size[0]), max(1, size[1]))
        image = resize(image, size, step['interpolation'], step.get('backend', 'cv2'))
        scale = (scale[0] * (size[0] / width), scale[1] * (size[1] / height))
    return np.ascontiguousarray(image), scale


def pad(image: np.ndarray, bottom: int, right: int, value: float | list[float]) -> np.ndarray:
    """Pad an image ``(H, W, C)`` with one value, or with one for each channel, by so many rows and columns."""
    values = value if isinstance(value, list) else [value] * image.shape[2]
    padded = cv2.copyMakeBorder(image, 0, bottom, 0, right, cv2.BORDER_CONSTANT, value=values)
    return padded.reshape(*padded.shape[:2], image.shape[2])


def edge_size(width: int, height: int, length: int, edge: str) -> tuple[int, int]:
    """Return width and height after one edge ('short', 'long', 'width' or 'height') was brought to a length.

    The other edge is cut to whole pixels, as mmpretrain's ``ResizeEdge`` does.
    """
    is_width = edge == 'width' or (edge == 'short' and width < height) or (edge == 'long' and width > height)
    return (length, int(length * height / width)) if is_width else (int(length * width / height), length)


def resize(image: np.ndarray, size: tuple[int, int], interpolation: str, backend: str) -> np.ndarray:
    """Resize an image ``(H, W, C)`` to a width and height with the library that the model was tested with.

    Args:
        image: uint8.
        size: Width and height.
        interpolation: Name of the kernel.
        backend: 'cv2' or 'pillow', whose kernels blur while they shrink and give other values.

    Raises:
        UserError: Pillow is needed and not installed.
    """
    channels = image.shape[2]
    if backend == 'cv2':
        # OpenCV leaves out the axis of a single channel.
        return cv2.resize(image, size, interpolation=KERNELS[interpolation]).reshape(*size[::-1], channels)
    try:
        from PIL import Image
    except ImportError as error:
        raise UserError('the model was tested with images that Pillow resized: pip install pillow') from error
    source = Image.fromarray(image[..., 0] if channels == 1 else image)
    resized = source.resize(size, getattr(Image.Resampling, interpolation.upper()))
    return np.array(resized).reshape(*size[::-1], channels)


def compile_preprocessing(model: openvino.Model, description: dict[str, Any]) -> openvino.Model:
    """Put color order, conversion to float, normalization and padding into the graph.

    Its input becomes uint8 NHWC, BGR or gray.
    """
    processor = PrePostProcessor(model)
    channels_first = openvino.Layout('NCHW')
    entry = processor.input()
    tensor = entry.tensor()
    tensor.set_element_type(openvino.Type.u8).set_layout(openvino.Layout('NHWC'))
    if description['color'] != 'GRAY':
        tensor.set_color_format(ColorFormat.BGR)
    steps = entry.preprocess()
    steps.convert_element_type(openvino.Type.f32)
    mean, std = ([float(value) for value in description[name]] for name in ('mean', 'std'))
    is_padded = description['pad_size_divisor'] > 1
    is_reversed = description['color'] == 'RGB'
    if is_reversed and is_padded:
        # OpenVINO's own reversal gets lost where a padding follows, so it is done with the padding.
        mean, std = mean[::-1], std[::-1]
    elif is_reversed:
        steps.convert_color(ColorFormat.RGB)
    steps.mean(mean).scale(std)
    entry.model().set_layout(channels_first)
    (parameter,) = model.get_parameters()
    consumers = list(parameter.output(0).get_target_inputs())
    built = processor.build()
    if is_padded:
        _pad(built, consumers, description['pad_size_divisor'], description['pad_value'], is_reversed)
    return built


def _pad(model: openvino.Model, consumers: list[Any], divisor: int, value: float, is_reversed: bool) -> None:
    """Pad what goes into the first layers of a network NCHW, at the bottom and at the right, to multiples of a divisor.

    As the data preprocessors of the mm libraries do, after normalization.
    """
    source = consumers[0].get_source_output()
    if is_reversed:
        order = opset.constant(np.array([2, 1, 0]))
        source = opset.gather(source, order, opset.constant(np.array(1))).output(0)
    sides = opset.gather(opset.shape_of(source, 'i64'), opset.constant(np.array([2, 3])), opset.constant(np.array(0)))
    limit = opset.constant(np.array([divisor] * 2))
    # What is missing to the next multiple; of a multiple nothing, not a whole divisor.
    missing = opset.mod(opset.subtract(limit, opset.mod(sides, limit)), limit)
    padded = opset.pad(
        source,
        opset.constant(np.zeros(4, np.int64)),
        opset.concat([opset.constant(np.zeros(2, np.int64)), missing], 0),
        'constant',
        opset.constant(np.float32(value)),
    )
    for consumer in consumers:
        consumer.replace_source_output(padded.output(0))
    model.validate_nodes_and_infer_types()
