"""Hash and score images batch by batch, so that an interrupted run can be continued."""

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

# Number of bits of the perceptual hash.
HASH_BITS = 64
# Part of the fingerprint: hashes of different kinds cannot be compared.
HASH_METHOD = f'ImageHash {imagehash.__version__} phash 8x8'


def perceptual_hash(image: np.ndarray) -> int:
    """Return the pHash of an image, 64 bits: the signs of its low frequencies, which survive compression and resizing.

    Args:
        image: BGR ``(H, W, 3)`` or gray ``(H, W)``, 0 to 255.
    """
    if image.dtype != np.uint8:
        image = image.clip(0, 255).astype(np.uint8)
    gray = image if image.ndim == 2 else cv2.cvtColor(np.ascontiguousarray(image[..., :3]), cv2.COLOR_BGR2GRAY)
    bits = imagehash.phash(Image.fromarray(gray)).hash
    return int(np.packbits(bits).view('>u8')[0])


class _Images(Dataset[Any]):
    """Hashes of images and their inputs for a teacher.

    An item is the record of an image without a score, and the input ``(3, H, W)`` or None.

    Args:
        paths: The images.
        pipeline: Test pipeline of the teacher.
        hash_only: Whether to leave out the inputs.
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
        # For example an image of one row, which cannot be resized. A pipeline that fails for every image has already
        # failed when the teacher was built.
        except Exception:
            return (0.0, UNUSABLE, bits), None


def _collate(items: Sequence[tuple[tuple[float, int, int], Tensor | None]]) -> tuple[np.ndarray, Any]:
    """Return the records ``(N,)`` and the inputs: stacked if they have the same size, None if there are none."""
    records = np.array([record for record, _ in items], RECORD)
    inputs = [image for _, image in items if image is not None]
    if not inputs:
        return records, None
    # One tensor instead of one per image, because each tensor of a worker takes a file descriptor.
    return records, torch.stack(inputs) if len({image.shape for image in inputs}) == 1 else inputs


def _one_thread(worker: int) -> None:
    """Disable the threads of OpenCV, which do not survive the fork and would compete with the other workers."""
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
    part: range | None = None,
) -> int:
    """Hash and score images, and append their records to a file after each batch.

    Records that the file already has are kept, so that an interrupted scan continues with the batch it was at. At most
    ``2 * workers + 1`` batches are in memory.

    Args:
        paths: The images.
        records_file: File of the records, in the order of the images.
        teacher: The classifier that scores the images.
        hash_only: Whether to hash without scoring.
        batch_size: Number of images per batch.
        workers: Number of processes that decode images; 0 decodes in this process.
        max_unreadable: Largest share of unreadable images.
        progress: Whether to show a progress bar.
        what: Name of the images, for the progress bar and messages.
        part: The images that the file is for; by default all.

    Returns:
        Number of records that the file already had.

    Raises:
        UserError: too many images cannot be read or scored, or a score is not finite.
    """
    part = range(len(paths)) if part is None else part
    done = count_records(records_file)
    if done < len(part):
        # Only complete batches: the last digits of a score may depend on the other images of its batch.
        done -= done % batch_size
    if records_file.is_file():
        with records_file.open('r+b') as file:
            file.truncate(done * RECORD.itemsize)
        if done:
            print_log(f'{what}: {done} of {len(part)} images have already been scored', 'current')
    unreadable = check_share(paths, records_file, max_unreadable, what, part.start)
    loader = DataLoader(
        _Images(paths, teacher.pipeline, hash_only),
        batch_size,
        sampler=part[done:],
        num_workers=workers,
        collate_fn=_collate,
        worker_init_fn=_one_thread,
    )
    bar = tqdm(total=len(part), initial=done, desc=what, unit='image', disable=not progress)
    first = part.start + done
    with records_file.open('ab') as file, bar:
        for records, inputs in loader:
            if inputs is not None:
                scored = np.flatnonzero(records['label'] >= 0)
                records['score'][scored], records['label'][scored] = teacher.score(inputs)
                if not np.isfinite(records['score']).all():
                    wrong = first + int(np.flatnonzero(~np.isfinite(records['score']))[0])
                    raise UserError(f'the score of {paths[wrong]} is not finite; check the checkpoint of the teacher')
            file.write(records.tobytes())
            file.flush()
            first += len(records)
            bar.update(len(records))
            faults = int((records['label'] < 0).sum())
            if faults:
                unreadable += faults
                if unreadable > max_unreadable * len(paths):
                    check_share(paths, records_file, max_unreadable, what, part.start)
    return done


def check_share(paths: PathFile, records_file: Path, max_unreadable: float, what: str, first: int = 0) -> int:
    """Count the unreadable images.

    Args:
        paths: The images.
        records_file: File of their records, or of those of a part.
        max_unreadable: Largest share of unreadable images, of all.
        what: Name of the images.
        first: Index of the first image of the file.

    Returns:
        Their number.

    Raises:
        UserError: there are too many.
    """
    count = sum(1 for _ in find_unreadable(records_file))
    if count > max_unreadable * len(paths):
        named = ', '.join(
            f'{paths[first + idx]} ({reason})' for idx, reason in islice(find_unreadable(records_file), 3)
        )
        raise UserError(
            f'{what}: {count} of {len(paths)} images ({count / len(paths):.2%}) cannot be read, and '
            f'max_unreadable {max_unreadable} allows {max_unreadable:.2%}; first: {named}. Allow more, or repair '
            f'them and delete {records_file}'
        )
    return count
