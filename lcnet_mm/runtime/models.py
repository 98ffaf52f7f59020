"""Detector, segmentor and classifier on an exported model."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import openvino

from ..utils.errors import UserError
from ..utils.images import read_image
from ..utils.openvino import openvino_core
from .preprocessing import apply_steps, compile_preprocessing

FORMAT = 1
DESCRIPTION = 'model.json'
ImageInput = np.ndarray | str | Path


class Detections(NamedTuple):
    """What a detector found in one image, best first.

    Attributes:
        boxes: ``(n, 4)`` xyxy in pixels of the image.
        scores: ``(n,)`` within 0 and 1.
        labels: ``(n,)`` class indices.
    """

    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray


class Geometry(NamedTuple):
    """What became of an image on its way into the network.

    Attributes:
        shape: Height and width of the image.
        scale: Factors of width and height from the image to the network's input.
        input_shape: Height and width of the network's input.
    """

    shape: tuple[int, int]
    scale: tuple[float, float]
    input_shape: tuple[int, int]


def read_description(path: str | Path, int8: bool = False) -> tuple[dict[str, Any], Path]:
    """Read ``model.json``.

    Args:
        path: The export's folder, its ``model.json`` or one of its ``.xml``.
        int8: Whether to take the export's INT8 model, where the path does not name a file.

    Returns:
        The description and the model's file.

    Raises:
        UserError: a file is missing, truncated or not one that ``tools/deploy.py`` wrote.
    """
    path = Path(path)
    folder = path if path.is_dir() else path.parent
    if not path.exists():
        raise UserError(f'model {path} does not exist')
    file = path if path.suffix == '.json' else folder / DESCRIPTION
    if not file.is_file():
        raise UserError(f'{folder} has no {DESCRIPTION}; export the model with lcnet deploy')
    try:
        description = json.loads(file.read_text())
        known = description['format'] == FORMAT and description['input']['steps'] is not None
        name = path.name if path.suffix == '.xml' else description.get('int8') if int8 else description['model']
        sizes = dict(description['files'])
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f'{file} is no description of an exported model; export it again with lcnet deploy') from error
    if not known:
        raise UserError(
            f'{file} has format {description["format"]}, this version reads {FORMAT}; export the model again'
        )
    if name is None:
        raise UserError(f'{folder} has no INT8 model; quantize the export, which keeps INT8 if it is accurate enough')
    if path.suffix == '.xml' and (name not in sizes or (int8 and name != description.get('int8'))):
        raise UserError(f'{path} is not {"the INT8 model" if int8 else "a model"} of {file}; give the folder')
    model_file = folder / name
    if model_file.suffix != '.xml':
        raise UserError(
            f'{file} is about {model_file.name}; the runtime needs an export with an openvino deploy config'
        )
    for needed in (model_file, model_file.with_suffix('.bin')):
        if not needed.is_file():
            raise UserError(f'{needed} is missing; export the model again')
        if needed.stat().st_size != sizes.get(needed.name):
            raise UserError(
                f'{needed} has {needed.stat().st_size} bytes instead of {sizes.get(needed.name)}: it is truncated or '
                f'another model; export the model again'
            )
    return description, model_file


class Model:
    """An exported model, compiled for this CPU.

    Args:
        path: The export's folder, its ``model.json`` or one of its ``.xml``.
        threads: Threads of one inference; all cores by default.
        int8: Whether to run the export's INT8 model.

    Attributes:
        classes: Names of the classes, in the order of the labels.
        description: The content of ``model.json``.

    Raises:
        UserError: a file is missing or wrong, or the model is for another task.
    """

    task: str | None = None

    def __init__(self, path: str | Path, threads: int | None = None, int8: bool = False) -> None:
        self.description, file = read_description(path, int8)
        if self.task not in (None, self.description['task']):
            raise UserError(f'{file} is a model for {self.description["task"]}, not for {self.task}')
        self.classes: list[str] = self.description['classes']
        self.names: list[str] = self.description['output']['names']
        self.core = openvino_core()
        self.options = dict(self.description['compile_options'])
        if threads is not None:
            self.options['INFERENCE_NUM_THREADS'] = threads
        try:
            model = self.core.read_model(file)
            self.model = compile_preprocessing(model, self.description['input'])
            self.compiled = self.core.compile_model(self.model, 'CPU', self.options)
        except RuntimeError as error:
            raise UserError(f'{file} cannot be read by OpenVINO; export the model again') from error
        self.check_classes(file)
        self.request = self.compiled.create_infer_request()

    def class_axis(self) -> tuple[str, int] | None:
        """Output and axis whose length is the number of classes, if there is one."""
        return None

    def check_classes(self, file: Path) -> None:
        """Compare the names with the outputs."""
        place = self.class_axis()
        if place is None:
            return
        length = self.compiled.output(place[0]).partial_shape[place[1]]
        if length.is_static and length.get_length() != len(self.classes):
            raise UserError(f'{file} has {length.get_length()} classes, {DESCRIPTION} names {len(self.classes)}')

    def read(self, image: ImageInput) -> np.ndarray:
        """Return an image as BGR ``(H, W, 3)`` uint8.

        Raises:
            UserError: a file does not exist or cannot be decoded, or an array has another shape or type.
        """
        if not isinstance(image, np.ndarray):
            if not Path(image).is_file():
                raise UserError(f'image {image} does not exist')
            try:
                return read_image(Path(image))
            except ValueError as error:
                raise UserError(f'image {image} {error}') from error
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise UserError(f'an image must be BGR (H, W, 3) uint8, got {image.shape} {image.dtype}')
        return image

    def __call__(self, images: ImageInput | Sequence[ImageInput]) -> Any:
        """Predict one image, or several, one after the other.

        Args:
            images: A BGR array ``(H, W, 3)`` uint8 or a path, or a list of them.

        Returns:
            The prediction of the image, or a list of them.
        """
        if not isinstance(images, np.ndarray | str | Path):
            return [self(image) for image in images]
        array, geometry = self.prepare(images)
        self.request.infer([array[None]], share_inputs=True)
        return self.finish(self.outputs(self.request), geometry)

    def prepare(self, image: ImageInput) -> tuple[np.ndarray, Geometry]:
        """Read an image and bring it to the network's size; raises as :meth:`read`."""
        pixels = self.read(image)
        array, scale = apply_steps(pixels, self.description['input'])
        return array, Geometry(pixels.shape[:2], scale, array.shape[:2])

    def infer_many(self, images: Iterable[ImageInput], progress: bool = True) -> Iterator[Any]:
        """Predict a stream of images with several inferences at once, for throughput.

        Yields:
            For each image, in order, its prediction, or the :class:`UserError` that it ran into.
        """
        from tqdm import tqdm

        compiled = self.core.compile_model(self.model, 'CPU', {**self.options, 'PERFORMANCE_HINT': 'THROUGHPUT'})
        queue = openvino.AsyncInferQueue(compiled)
        results: dict[int, Any] = {}
        geometries: dict[int, Geometry] = {}
        queue.set_callback(lambda request, index: results.__setitem__(index, self.outputs(request)))
        total = len(images) if isinstance(images, Sequence) else None
        # A few images in advance keep all requests busy, and the memory bounded.
        window: list[int] = []
        bar = tqdm(total=total, unit='image', disable=not progress)

        def flush() -> Iterator[Any]:
            queue.wait_all()
            for index in window:
                result = results.pop(index)
                yield result if isinstance(result, UserError) else self.finish(result, geometries.pop(index))
                bar.update()
            window.clear()

        with bar:
            for index, image in enumerate(images):
                window.append(index)
                try:
                    array, geometries[index] = self.prepare(image)
                except UserError as error:
                    results[index] = error
                else:
                    queue.start_async([array[None]], index)
                if len(window) >= 4 * len(queue):
                    yield from flush()
            yield from flush()

    def outputs(self, request: Any) -> dict[str, np.ndarray]:
        """Return copies of a request's outputs, without the batch axis."""
        return {name: request.get_tensor(name).data[0].copy() for name in self.names}

    def finish(self, outputs: dict[str, np.ndarray], geometry: Geometry) -> Any:
        """Turn the outputs for one image, by name, into a prediction."""
        raise NotImplementedError


class Detector(Model):
    """Object detection; a call returns :class:`Detections`."""

    task = 'detection'

    def class_axis(self) -> tuple[str, int] | None:
        """Return the output whose axis counts the classes, and that axis; None if there is none."""
        return ('scores', 2) if self.description['output']['form'] == 'raw' else None

    def finish(self, outputs: dict[str, np.ndarray], geometry: Geometry) -> Detections:
        """Turn the outputs for one image, by name, into the prediction."""
        if self.description['output']['form'] == 'raw':
            candidates = outputs['boxes']
            if self.description['output']['clip']:
                candidates = np.clip(candidates, 0, np.array([*geometry.input_shape[::-1]] * 2, np.float32))
            boxes, scores, labels = self.suppress(outputs['scores'], candidates, self.description['output'])
        else:
            dets, labels = outputs['dets'], outputs['labels']
            kept = dets[:, 4] > 0
            boxes, scores, labels = dets[kept, :4], dets[kept, 4], labels[kept]
        factors = np.array(geometry.scale * 2, np.float32)
        limits = np.array([*geometry.shape[::-1]] * 2, np.float32)
        return Detections(np.clip(boxes / factors, 0, limits), scores, labels.astype(np.int64))

    @staticmethod
    def suppress(scores: np.ndarray, boxes: np.ndarray, settings: dict[str, Any]) -> Detections:
        """NMS by class of scores ``(P, classes)`` and boxes ``(P, 4)``, with the thresholds of ``model.json``."""
        point, label = np.nonzero(scores > settings['score_threshold'])
        candidates, values = boxes[point], scores[point, label]
        sizes = np.column_stack((candidates[:, :2], candidates[:, 2:] - candidates[:, :2]))
        kept = np.asarray(
            cv2.dnn.NMSBoxesBatched(
                sizes.tolist(), values.tolist(), label.tolist(), 0.0, float(settings['iou_threshold'])
            ),
            int,
        ).reshape(-1)
        kept = kept[np.argsort(-values[kept], kind='stable')][: settings['max_per_image']]
        return Detections(candidates[kept], values[kept], label[kept])


class Segmentor(Model):
    """Semantic segmentation; a call returns class indices ``(H, W)`` uint8 at the size of the image."""

    task = 'segmentation'

    def class_axis(self) -> tuple[str, int] | None:
        """Return the output whose axis counts the classes, and that axis; None if there is none."""
        return ('output', 1) if self.description['output']['form'] == 'logits' else None

    def finish(self, outputs: dict[str, np.ndarray], geometry: Geometry) -> np.ndarray:
        """Turn the outputs for one image, by name, into the prediction."""
        output = outputs['output']
        mask = (output.argmax(0) if self.description['output']['form'] == 'logits' else output[0]).astype(np.uint8)
        # A padded input has the image at its top left.
        shape, scale, input_shape = geometry
        height, width = (min(i, round(s * f)) for i, s, f in zip(input_shape, shape, scale[::-1], strict=True))
        result: np.ndarray = cv2.resize(mask[:height, :width], shape[::-1], interpolation=cv2.INTER_NEAREST)
        return result


class Classifier(Model):
    """Image classification; a call returns probabilities ``(classes,)``."""

    task = 'classification'

    def class_axis(self) -> tuple[str, int] | None:
        """Return the output whose axis counts the classes, and that axis; None if there is none."""
        return 'output', 1

    def finish(self, outputs: dict[str, np.ndarray], geometry: Geometry) -> np.ndarray:
        """Turn the outputs for one image, by name, into the prediction."""
        return outputs['output']


MODELS: dict[str, type[Model]] = {cls.task: cls for cls in (Detector, Segmentor, Classifier) if cls.task}


def load_model(path: str | Path, threads: int | None = None, int8: bool = False) -> Model:
    """Open an export with the class for its task.

    Args:
        path: Folder of the export, or its ``.xml`` file.
        threads: Threads of one inference; OpenVINO chooses if None.
        int8: Whether to run the quantized network of the export.

    Raises:
        UserError: as :class:`Model`.
    """
    description, file = read_description(path, int8)
    if description['task'] not in MODELS:
        raise UserError(f'{file} is for the unknown task {description["task"]!r}')
    return MODELS[description['task']](path, threads, int8)
