"""Data loaders whose errors name the image file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ..utils.errors import UserError, describe_error


class NamingPipeline:
    """A data set's pipeline, with the image file in the message of every error.

    Args:
        pipeline: The pipeline.
    """

    def __init__(self, pipeline: Callable[[dict[str, Any]], Any]) -> None:
        self.pipeline = pipeline

    def __call__(self, data: dict[str, Any]) -> Any:
        """Run the pipeline.

        Raises:
            UserError: a step of it fails.
        """
        path = data.get('img_path')
        try:
            return self.pipeline(data)
        except UserError as error:
            raise UserError(f'image {path}: {error}') from error
        except Exception as error:
            if type(error).__module__.startswith('cv2') and 'imdecode' in str(error):
                raise UserError(f'image {path} cannot be read: the file is empty, or not an image') from error
            raise UserError(f'image {path} cannot be prepared: {describe_error(error)}') from error

    def __getattr__(self, name: str) -> Any:
        # Not while it is being unpickled in a worker process, where there is no pipeline yet.
        if name.startswith('__') or name == 'pipeline':
            raise AttributeError(name)
        return getattr(self.pipeline, name)


def name_files_in_errors(dataset: Any) -> None:
    """Let the errors of a data set, or of the data sets in a wrapper, name the image file."""
    for part in _innermost(dataset):
        pipeline = getattr(part, 'pipeline', None)
        if callable(pipeline) and not isinstance(pipeline, NamingPipeline):
            part.pipeline = NamingPipeline(pipeline)


def _innermost(dataset: Any) -> Iterator[Any]:
    parts = getattr(dataset, 'datasets', None)
    if isinstance(parts, list | tuple):
        for part in parts:
            yield from _innermost(part)
    elif hasattr(dataset, 'dataset'):
        yield from _innermost(dataset.dataset)
    else:
        yield dataset
