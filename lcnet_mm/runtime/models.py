"""An exported model on OpenVINO, and its predictions for segmentation and classification."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import openvino

from ..utils.errors import UserError
from ..utils.images import read_image
from ..utils.openvino import openvino_core
from .description import DESCRIPTION, read_description
from .preprocessing import apply_steps, compile_preprocessing
from .requests import RequestPool

ImageInput = np.ndarray | str | Path
_MAX_THREADS = 1024


def make_cache(folder: str) -> str:
    """Make the folder of a cache and return it.

    Raises:
        UserError: it cannot be made or written to, which OpenVINO would not say.
    """
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f'cache_dir {folder} cannot be made: {error.strerror}') from error
    if not os.access(folder, os.W_OK):
        raise UserError(f'cache_dir {folder} cannot be written to; choose another folder')
    return folder


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


class _Waiting(NamedTuple):
    """An image whose result has not been given yet.

    Attributes:
        request: The request that runs, or None where the image cannot be read.
        geometry: What became of the image.
        error: What is given where there is no prediction.
    """

    request: openvino.InferRequest | None
    geometry: Geometry | None
    error: UserError

    def is_done(self) -> bool:
        """Return whether the result can be given without waiting."""
        return self.request is None or bool(self.request.wait_for(0))


class Model:
    """An exported model, compiled for this CPU.

    A model may be called from many threads at once: each call has an infer request that no other has, and the results
    are those of single calls. It may be used in processes that are forked after it was opened, which compile it again
    at their first call, and it can be sent to spawned ones, which open it again.

    Args:
        path: The export's folder, its ``model.json`` or one of its ``.xml``.
        threads: Threads of one inference, at least 1; all cores by default. OpenVINO takes no more than there are.
        int8: Whether to run the export's INT8 model.
        cache_dir: Folder in which OpenVINO keeps compiled models, so that the next start takes less time; none by
            default.

    Attributes:
        classes: Names of the classes, in the order of the labels.
        description: The content of ``model.json``.

    Raises:
        UserError: a file is missing or wrong, the model is for another task, or an argument is out of its range.
    """

    task: str | None = None

    def __init__(
        self,
        path: str | Path,
        threads: int | None = None,
        int8: bool = False,
        cache_dir: str | Path | None = None,
    ) -> None:
        if threads is not None and (isinstance(threads, bool) or not isinstance(threads, int) or threads < 1):
            raise UserError(f'threads must be at least 1, got {threads}')
        cache_dir = None if cache_dir is None else str(Path(cache_dir).absolute())
        self._arguments: tuple[Any, ...] = (str(Path(path).absolute()), threads, int8, cache_dir)
        self.description, file = read_description(path, int8)
        if self.task not in (None, self.description['task']):
            raise UserError(f'{file} is a model for {self.description["task"]}, not for {self.task}')
        self.classes: list[str] = self.description['classes']
        self.names: list[str] = self.description['output']['names']
        # More make no difference, up to numbers that OpenVINO does not take.
        threads = threads if threads is None else min(threads, _MAX_THREADS)
        try:
            self.model = compile_preprocessing(openvino_core().read_model(file), self.description['input'])
            options = dict(self.description['compile_options'])
            if cache_dir is not None:
                options['CACHE_DIR'] = make_cache(cache_dir)
            self._pool = RequestPool(self.model, options, threads)
        except RuntimeError as error:
            raise UserError(f'{file} cannot be read by OpenVINO; export the model again') from error
        self._check_outputs(file)

    def __reduce__(self) -> tuple[Any, ...]:
        """Send the arguments to another process, which opens the model again."""
        return type(self), self._arguments

    @property
    def compiled(self) -> openvino.CompiledModel:
        """OpenVINO's compiled model."""
        return self._pool.compiled

    def class_axis(self) -> tuple[str, int] | None:
        """Output and axis whose length is the number of classes, if there is one."""
        return None

    def class_name(self, label: int) -> str:
        """Return the name of a class, or its number where it has none."""
        return self.classes[label] if 0 <= label < len(self.classes) else str(label)

    def _check_outputs(self, file: Path) -> None:
        """Compare the names of outputs and classes with the model."""
        try:
            ranks = {name: len(self.compiled.output(name).partial_shape) for name in self.names}
        except RuntimeError as error:
            raise UserError(f'{file} has no outputs {", ".join(self.names)}; export the model again') from error
        place = self.class_axis()
        if place is None:
            return
        length = self.compiled.output(place[0]).partial_shape[place[1]] if ranks[place[0]] > place[1] else None
        if length is not None and length.is_static and length.get_length() != len(self.classes):
            raise UserError(f'{file} has {length.get_length()} classes, {DESCRIPTION} names {len(self.classes)}')

    def read(self, image: ImageInput) -> np.ndarray:
        """Return an image as the model takes it: BGR ``(H, W, 3)`` uint8, or ``(H, W, 1)`` for a gray model.

        Raises:
            UserError: a file does not exist or cannot be decoded, or an array has another shape or type.
        """
        entry = self.description['input']
        if isinstance(image, str | Path):
            if not Path(image).exists():
                raise UserError(f'image {image} does not exist')
            try:
                return read_image(image, entry.get('read', 'color'))
            except ValueError as error:
                raise UserError(f'image {image} {error}') from error
        gray = entry.get('channels', 3) == 1
        if not isinstance(image, np.ndarray):
            raise UserError(f'an image must be an array or a path, got {type(image).__name__}')
        if gray and image.ndim == 2:
            image = image[..., None]
        if (
            image.dtype != np.uint8
            or image.ndim != 3
            or image.shape[2] not in ((1, 3) if gray else (3,))
            or (not image.size)
        ):
            wanted = 'gray (H, W) or BGR (H, W, 3)' if gray else 'BGR (H, W, 3)'
            raise UserError(f'an image must be {wanted} uint8, got {image.shape} {image.dtype}')
        return cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)[..., None] if gray and image.shape[2] == 3 else image

    def __call__(self, images: ImageInput | Sequence[ImageInput]) -> Any:
        """Predict one image, or several, one after the other.

        Args:
            images: A BGR array ``(H, W, 3)`` uint8 or a path, or a list of them. A gray model also takes ``(H, W)``.

        Returns:
            The prediction of the image, or a list of them.

        Raises:
            UserError: as :meth:`read`; :meth:`infer_many` gives the results of the other images too.
        """
        if not isinstance(images, np.ndarray | str | Path):
            return [self(image) for image in images]
        array, geometry = self.prepare(images)
        with self._pool.request() as request:
            try:
                request.infer([array[None]], share_inputs=True)
            except RuntimeError as error:
                raise UserError(self._refusal(array)) from error
            outputs = self.outputs(request)
        return self.finish(outputs, geometry)

    def warm_up(self) -> None:
        """Predict one black image, so that the first real one takes no longer than the others."""
        entry = self.description['input']
        width, height = entry.get('size') or (224, 224)
        self(np.zeros((height, width, entry.get('channels', 3)), np.uint8))

    def prepare(self, image: ImageInput) -> tuple[np.ndarray, Geometry]:
        """Read an image and bring it to the network's size; raises as :meth:`read`."""
        pixels = self.read(image)
        try:
            array, scale = apply_steps(pixels, self.description['input'])
        except cv2.error as error:
            height, width = pixels.shape[:2]
            raise UserError(
                f'an image of {width}x{height} pixels cannot be resized: {" ".join(str(error.err).split())}'
            ) from error
        return array, Geometry(pixels.shape[:2], scale, array.shape[:2])

    def infer_many(self, images: Iterable[ImageInput], progress: bool = True) -> Iterator[Any]:
        """Predict a stream of images with several inferences at once, for throughput.

        The memory is bounded however long the stream is: a few images are read in advance, as many as keep all cores
        busy, and each result is given as soon as it and those before it are there.

        Args:
            images: As for a call; an endless generator too.
            progress: Whether to show a progress bar.

        Yields:
            For each image, in order, its prediction, or the :class:`UserError` that it ran into.
        """
        from tqdm import tqdm

        compiled = self._pool.throughput()
        # Twice as many as run at a time, so that the next ones are ready.
        count = 2 * compiled.get_property('OPTIMAL_NUMBER_OF_INFER_REQUESTS')
        idle = [compiled.create_infer_request() for _ in range(count)]
        waiting: deque[_Waiting] = deque()
        total = len(images) if isinstance(images, Sequence) else None
        bar = tqdm(total=total, unit='image', disable=not progress)

        def take() -> Any:
            oldest = waiting.popleft()
            result = self._wait(oldest)
            if oldest.request is not None:
                idle.append(oldest.request)
            bar.update()
            return result

        source, problem = iter(images), None
        try:
            while problem is None:
                try:
                    image = next(source)
                except StopIteration:
                    break
                except Exception as error:
                    # The results for what the source gave before it failed are not lost.
                    problem = error
                    break
                waiting.append(self._start(idle, image))
                while waiting and (not idle or len(waiting) >= count or waiting[0].is_done()):
                    yield take()
            while waiting:
                yield take()
            if problem is not None:
                raise problem
        finally:
            # The consumer may have stopped before the end.
            for entry in waiting:
                self._wait(entry)
            bar.close()

    def _start(self, idle: list[openvino.InferRequest], image: ImageInput) -> _Waiting:
        """Start the inference of one image on an idle request; an image that cannot be read has none."""
        try:
            array, geometry = self.prepare(image)
        except UserError as error:
            return _Waiting(None, None, error)
        request = idle.pop()
        try:
            request.start_async([array[None]])
        except RuntimeError:
            idle.append(request)
            return _Waiting(None, None, UserError(self._refusal(array)))
        return _Waiting(request, geometry, UserError(self._refusal(array)))

    def _wait(self, entry: _Waiting) -> Any:
        """Return the prediction of an image whose inference was started, or its error."""
        if entry.request is None or entry.geometry is None:
            return entry.error
        try:
            entry.request.wait()
        except RuntimeError:
            return entry.error
        return self.finish(self.outputs(entry.request), entry.geometry)

    def _refusal(self, array: np.ndarray) -> str:
        """Say that OpenVINO does not take an input."""
        height, width = array.shape[:2]
        return f'the model cannot run on {width}x{height} pixels, against {DESCRIPTION}; export the model again'

    def outputs(self, request: Any) -> dict[str, np.ndarray]:
        """Return copies of a request's outputs, without the batch axis."""
        return {name: request.get_tensor(name).data[0].copy() for name in self.names}

    def finish(self, outputs: dict[str, np.ndarray], geometry: Geometry) -> Any:
        """Turn the outputs for one image, by name, into a prediction."""
        raise NotImplementedError


class Segmentor(Model):
    """Semantic segmentation; a call returns class indices ``(H, W)`` at the size of the image.

    They are uint8, or uint16 of a model with more than 256 classes.
    """

    task = 'segmentation'

    def class_axis(self) -> tuple[str, int] | None:
        """Return the output whose axis counts the classes, and that axis; None if there is none."""
        return ('output', 1) if self.description['output']['form'] == 'logits' else None

    def finish(self, outputs: dict[str, np.ndarray], geometry: Geometry) -> np.ndarray:
        """Turn the outputs for one image, by name, into the prediction."""
        output, settings = outputs['output'], self.description['output']
        if settings['form'] == 'logits':
            indices = output.argmax(0)
        elif settings['form'] == 'sigmoid':
            # The sigmoid of a logit is above the threshold where the logit is above that of the threshold.
            with np.errstate(divide='ignore'):
                indices = output[0] > np.log(settings['threshold'] / (1 - np.float64(settings['threshold'])))
        else:
            indices = output[0]
        mask = indices.astype(np.uint8 if len(self.classes) <= 256 else np.uint16)
        # A padded input has the image at its top left.
        shape, scale, input_shape = geometry
        height, width = (max(1, min(i, round(s * f))) for i, s, f in zip(input_shape, shape, scale[::-1], strict=True))
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
