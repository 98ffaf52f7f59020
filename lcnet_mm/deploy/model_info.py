"""Metadata inside exported files, by which OpenVINO Model API and DL Streamer run them without a description.

``model.json`` is the source: what it says and these tools can express is written as ``model_info`` into the runtime
information of the ``.xml`` file and into the properties of the ``.onnx`` file. Names and values are those of
openvino-model-api 0.4.7 (``models/parameters.py``) and of DL Streamer 2026.1.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import onnx
import openvino

from ..utils.openvino import openvino_core

SECTION = 'model_info'
# DL Streamer compares the first of these exactly; Model API ignores the case.
_MODEL_TYPES = {
    ('detection', 'end2end'): 'ssd',
    ('segmentation', 'logits'): 'Segmentation',
    ('classification', 'softmax'): 'Classification',
}
_INTERPOLATIONS = {'bilinear': 'LINEAR', 'bicubic': 'CUBIC', 'nearest': 'NEAREST'}
# DL Streamer looks for detections by this name; mmdeploy calls them dets.
_BOXES = {'dets': 'boxes'}
_TOP = 5


def make_model_info(description: dict[str, Any]) -> tuple[dict[str, str], str]:
    """Express the content of ``model.json`` as Model API's parameters.

    A detector keeps the runtime's threshold, so that both give the same boxes.

    Args:
        description: As :func:`~lcnet_mm.deploy.description.describe_model` makes it.

    Returns:
        The parameters by name, and an empty string; or no parameters, and what cannot be expressed.
    """
    task, entry, output = description['task'], description['input'], description['output']
    model_type = _MODEL_TYPES.get((task, output['form']))
    if model_type is None:
        return {}, f'outputs of the form {output["form"]}'
    if entry['channels'] != 3:
        return {}, f'images of {entry["channels"]} channel'
    resize = _find_resize(entry)
    if resize is None:
        return {}, 'the input size or the steps before the network'
    info = dict(
        model_type=model_type,
        labels=' '.join('_'.join(name.split()) for name in description['classes']),
        reverse_input_channels=str(entry['color'] == 'RGB'),
        mean_values=_join(entry['mean']),
        scale_values=_join(entry['std']),
        **resize,
    )
    if task == 'detection':
        info.update(confidence_threshold=str(output['score_threshold']), nms_execute='False')
    elif task == 'segmentation':
        info.update(return_soft_prediction='False')
    else:
        info.update(topk=str(min(_TOP, len(description['classes']))), output_raw_scores='True')
    return info, ''


def _find_resize(entry: dict[str, Any]) -> dict[str, str] | None:
    """Express the steps before the network; None where Model API has no such steps.

    Its ``crop`` takes the whole center square, ours a part of it: the classes are the same, the scores nearly.
    """
    steps = entry['steps']
    kinds = [step['type'] for step in steps]
    if entry['size'] is None or not steps or steps[-1].get('size') != entry['size'] or entry['pad_size_divisor'] != 1:
        return None
    interpolation = _INTERPOLATIONS.get(steps[0].get('interpolation', ''))
    if interpolation is None:
        return None
    if kinds == ['resize'] and not steps[0]['keep_ratio']:
        return dict(resize_type='standard', interpolation_mode=interpolation)
    if kinds == ['resize_edge', 'center_crop'] and steps[0]['edge'] == 'short':
        return dict(resize_type='crop', interpolation_mode=interpolation)
    values = set(steps[-1].get('value', ()))
    if kinds == ['resize_inside', 'pad'] and len(values) == 1 and float(min(values)).is_integer():
        return dict(resize_type='fit_to_window', interpolation_mode=interpolation, pad_value=str(int(min(values))))
    return None


def _join(values: list[float]) -> str:
    """Join three numbers; one number counts for each channel."""
    return ' '.join(str(value) for value in (values * 3 if len(values) == 1 else values))


def write_model_info(file: Path, info: dict[str, str]) -> None:
    """Write metadata into an ``.xml`` or ``.onnx`` file, which is replaced when the new one is complete.

    Args:
        file: The exported model.
        info: As :func:`make_model_info` returns it.
    """
    partial = file.with_name(f'{file.stem}.partial{file.suffix}')
    if file.suffix == '.onnx':
        proto = onnx.load(file)
        properties = {entry.key: entry.value for entry in proto.metadata_props}
        properties.update({f'{SECTION} {name}': value for name, value in info.items()})
        onnx.helper.set_model_props(proto, properties)
        onnx.save(proto, partial)
    else:
        model = openvino_core().read_model(file)
        for name, value in info.items():
            model.set_rt_info(value, [SECTION, name])
        for output in model.outputs:
            output.tensor.add_names({_BOXES[name] for name in output.names & _BOXES.keys()})
        # Weights in half precision stay so.
        openvino.save_model(model, partial, compress_to_fp16=False)
        os.replace(partial.with_suffix('.bin'), file.with_suffix('.bin'))
    os.replace(partial, file)
