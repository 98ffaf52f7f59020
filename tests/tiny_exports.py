"""Exports of every task without a checkpoint: small graphs of OpenVINO and their descriptions, made in milliseconds."""

import json
from pathlib import Path

import numpy as np
import openvino
from openvino import opset13 as opset

from lcnet_mm.runtime import Detections
from lcnet_mm.utils.files import sha256

WIDTH, HEIGHT = 96, 64
TASKS = ('detection', 'segmentation', 'classification')
CLASSES = ['disc', 'box', 'line']


def make_export(folder: Path, task: str, channels: int = 3, dynamic: bool = False, **changes) -> Path:
    """Write an export whose outputs depend on the whole image.

    Args:
        folder: The folder.
        task: One of :data:`TASKS`.
        channels: Of the input.
        dynamic: Whether a segmentor takes any size.
        changes: Of the description's ``input``.
    """
    rng = np.random.default_rng(0)
    image = opset.parameter([1, channels, *((-1, -1) if dynamic else (HEIGHT, WIDTH))], np.float32, name='input')
    features = image
    for size in (16, 16):
        depth = features.get_output_partial_shape(0)[1].get_length()
        kernel = rng.normal(0, 0.3, (size, depth, 3, 3)).astype(np.float32)
        features = opset.relu(opset.convolution(features, opset.constant(kernel), [1, 1], [1, 1], [1, 1], [1, 1]))
    last = opset.constant(rng.normal(0, 0.3, (len(CLASSES), 16, 1, 1)).astype(np.float32))
    logits = opset.convolution(features, last, [1, 1], [0, 0], [0, 0], [1, 1])
    if task == 'detection':
        pooled = opset.avg_pool(logits, [8, 8], [0, 0], [0, 0], [8, 8], False)
        scores = opset.sigmoid(opset.transpose(pooled, opset.constant([0, 2, 3, 1])))
        points = scores.get_output_shape(0)[1] * scores.get_output_shape(0)[2]
        scores = opset.reshape(scores, opset.constant([1, points, len(CLASSES)]), False)
        corners = rng.uniform(0, 40, (1, points, 2))
        boxes = opset.constant(
            np.concatenate((corners, corners + rng.uniform(8, 50, corners.shape)), 2).astype(np.float32)
        )
        outputs = dict(scores=scores, boxes=opset.add(boxes, opset.reduce_mean(scores, opset.constant([1, 2]), True)))
        output = dict(form='raw', score_threshold=0.05, iou_threshold=0.5, max_per_image=20, clip=True)
    elif task == 'segmentation':
        outputs, output = dict(output=logits), dict(form='logits')
    else:
        pooled = opset.squeeze(opset.reduce_mean(logits, opset.constant([2, 3]), True), opset.constant([2, 3]))
        outputs, output = dict(output=opset.softmax(pooled, 1)), dict(form='softmax')
    for name, node in outputs.items():
        node.output(0).get_tensor().set_names({name})
    folder.mkdir(parents=True)
    model = openvino.Model([opset.result(node) for node in outputs.values()], [image])
    openvino.save_model(model, folder / 'end2end.xml', compress_to_fp16=False)
    files = [folder / 'end2end.xml', folder / 'end2end.bin']
    entry = dict(
        name='input',
        size=[WIDTH, HEIGHT],
        steps=[dict(type='resize', size=[WIDTH, HEIGHT], keep_ratio=False, interpolation='bilinear', backend='cv2')],
        read='color' if channels == 3 else 'grayscale',
        channels=channels,
        color='RGB' if channels == 3 else 'GRAY',
        mean=[120.0] * channels,
        std=[60.0] * channels,
        pad_size_divisor=1,
        pad_value=0,
    )
    description = dict(
        format=1,
        task=task,
        model='end2end.xml',
        classes=CLASSES,
        palette=[[255, 0, 0], [0, 255, 0], [0, 0, 255]],
        input={**entry, **changes},
        output=dict(output, names=list(outputs)),
        compile_options=dict(INFERENCE_PRECISION_HINT='f32', PERFORMANCE_HINT='LATENCY'),
        files={file.name: file.stat().st_size for file in files},
        sha256={file.name: sha256(file) for file in files},
    )
    (folder / 'model.json').write_text(json.dumps(description))
    return folder


def make_images(count: int = 8) -> list[np.ndarray]:
    """Random images of different sizes."""
    rng = np.random.default_rng(1)
    return [rng.integers(0, 256, (50 + 9 * i, 70 + 7 * i, 3), np.uint8) for i in range(count)]


def equal(first, second) -> bool:
    """Whether two predictions have the same values."""
    pairs = zip(first, second, strict=True) if isinstance(first, Detections) else [(first, second)]
    return all(np.array_equal(one, other) for one, other in pairs)
