"""Hashing and scoring images, one batch after the other, so that it can be interrupted and goes on."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import imagehash
import numpy as np
import torch
from mmengine.logging import print_log
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from ..classification.reading import Transform, UnreadableImage, load_image
from ..utils.errors import UserError
from .pool import MISSING, RECORD, UNDECODABLE, UNUSABLE, PathFile, count_records, find_unreadable
from .teacher import Teacher

# Bits of the perceptual hash.
HASH_BITS = 64
# Named in the fingerprint: hashes of another kind do not compare.
HASH_METHOD = f'ImageHash {imagehash.__version__} phash 8x8'


def perceptual_hash(image: np.ndarray) -> int:
    """Return the 64 bits of an image's pHash: signs of its low frequencies, which survive compression and resizing.

    Args:
        image: BGR ``(H, W, 3)`` or grey ``(H, W)``, 0 to 255.
    """
    if image.dtype != np.uint8:
        image = image.clip(0, 255).astype(np.uint8)
    grey = image if image.ndim == 2 else cv2.cvtColor(np.ascontiguousarray(image[..., :3]), cv2.COLOR_BGR2GRAY)
    bits = imagehash.phash(Image.fromarray(grey)).hash
    return int(np.packbits(bits).view('>u8')[0])


class _Images(Dataset[Any]):
    """Hashes of images and, for a teacher, its inputs.

    An item is the record of the image without a score, and the input ``(3, H, W)``, None where there is none.

    Args:
        paths: The images.
        pipeline: The teacher's test pipeline; its first steps load the image.
        hash_only: Whether the inputs are left out.
    """

    def __init__(self, paths: PathFile, pipeline: Sequence[Transform], hash_only: bool) -> None:
        self.paths = paths
        self.pipeline = pipeline
        self.hash_only = hash_only

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, idx: int) -> tuple[tuple[float, int, int], Tensor | None]:
        info = dict(img_path=self.paths[idx], sample_idx=idx)
        try:
            data, transforms = load_image(self.pipeline, info)
        except UnreadableImage as error:
            return (0.0, MISSING if error.missing else UNDECODABLE, 0), None
        bits = perceptual_hash(data['img'])
        if self.hash_only:
            return (0.0, 0, bits), None
        try:
            for transform in transforms:
                data = transform(data)
            return (0.0, 0, bits), data['inputs']
        # An image of one row, say, that cannot be resized; a pipeline that is wrong for all fails at the teacher's
        # trial.
        except Exception:
            return (0.0, UNUSABLE, bits), None


def _collate(items: Sequence[tuple[tuple[float, int, int], Tensor | None]]) -> tuple[np.ndarray, Any]:
    """Return records ``(N,)`` and the inputs, stacked if they have the same size, or None if there are none."""
    records = np.array([record for record, _ in items], RECORD)
    inputs = [image for _, image in items if image is not None]
    if not inputs:
        return records, None
    # One tensor instead of one per image: each would hold a file descriptor on its way from the worker.
    return records, torch.stack(inputs) if len({image.shape for image in inputs}) == 1 else inputs


def _one_thread(worker: int) -> None:
    """Switch off the threads of a worker: OpenCV's do not survive the fork, and the workers are the parallelism."""
    cv2.setNumThreads(0)


def scan(
    paths: PathFile,
    records_file: Path,
    teacher: Teacher,
    *,
    hash_only: bool,
    batch_size: int,
    workers: int,
    max_unreadable: float,
    progress: bool = True,
    what: str = 'pool',
) -> int:
    """Hash images and score them, and append their records to a file after each batch.

    What the file has already is kept, so that an interrupted scan goes on with the batch that it was at. In memory are
    at most ``2 * workers + 1`` batches.

    Args:
        paths: The images.
        records_file: Where the records go, in the order of the images.
        teacher: What scores them.
        hash_only: Whether they are hashed only.
        batch_size: Images at a time.
        workers: Processes that decode; 0 decodes in this one.
        max_unreadable: Share of the images.
        progress: Shows a progress bar.
        what: Name of the images in it and in messages.

    Returns:
        How many records were there already.

    Raises:
        UserError: more than ``max_unreadable`` cannot be read or scored, or the teacher gives no finite score.
    """
    done = count_records(records_file)
    if done < len(paths):
        # Whole batches only: a batch of another make-up may score differently in the last digits.
        done -= done % batch_size
    if records_file.is_file():
        with records_file.open('r+b') as file:
            file.truncate(done * RECORD.itemsize)
        if done:
            print_log(f'{what}: {done} of {len(paths)} images are done already', 'current')
    unreadable = sum(1 for _ in find_unreadable(records_file))
    _check_share(unreadable, paths, records_file, max_unreadable, what)
    loader = DataLoader(
        _Images(paths, teacher.pipeline, hash_only),
        batch_size,
        sampler=range(done, len(paths)),
        num_workers=workers,
        collate_fn=_collate,
        worker_init_fn=_one_thread,
    )
    bar = tqdm(total=len(paths), initial=done, desc=what, unit='image', disable=not progress)
    with records_file.open('ab') as file, bar:
        for records, inputs in loader:
            if inputs is not None:
                scored = np.flatnonzero(records['label'] >= 0)
                records['score'][scored], records['label'][scored] = teacher.score(inputs)
                if not np.isfinite(records['score']).all():
                    first = int(bar.n) + int(np.flatnonzero(~np.isfinite(records['score']))[0])
                    raise UserError(f'the teacher gives no finite score for {paths[first]}; is its checkpoint broken?')
            file.write(records.tobytes())
            file.flush()
            bar.update(len(records))
            faults = int((records['label'] < 0).sum())
            if faults:
                unreadable += faults
                _check_share(unreadable, paths, records_file, max_unreadable, what)
    return done


def _check_share(count: int, paths: PathFile, records_file: Path, max_unreadable: float, what: str) -> None:
    """Refuse to go on with more unreadable images than allowed."""
    if count > max_unreadable * len(paths):
        first = ', '.join(f'{paths[idx]} ({reason})' for idx, reason in islice(find_unreadable(records_file), 3))
        raise UserError(
            f'{what}: {count} of {len(paths)} images ({count / len(paths):.2%}) cannot be read, and '
            f'max_unreadable {max_unreadable} allows {max_unreadable:.2%}; first: {first}. Allow more, or repair '
            f'them and delete {records_file}'
        )
