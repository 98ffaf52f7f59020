"""Select the best images of each class from a scanned pool, without near-duplicates of validation images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from .pool import read_records

# Number of near-duplicates and unreadable images that are named; further ones are only counted.
MAX_NAMED = 10_000
_CANDIDATE = np.dtype([('label', '<i4'), ('score', '<f4'), ('idx', '<i8')])


@dataclass
class Selection:
    """The result of :func:`select`.

    Attributes:
        kept: The selected images ``(K,)`` with ``label``, ``score`` and ``idx``, ordered by class and score.
        candidates: Number of images of each class that are not near-duplicates, ``(classes,)``.
        num_duplicates: Number of near-duplicates of validation images.
        duplicates: The first :data:`MAX_NAMED` near-duplicates: index in the pool, index in the validation set, and
            number of differing bits.
    """

    kept: np.ndarray
    candidates: np.ndarray
    num_duplicates: int = 0
    duplicates: list[tuple[int, int, int]] = field(default_factory=list)


def select(pool: Path, val: Path, num_classes: int, top_k: int, max_distance: int) -> Selection:
    """Drop the near-duplicates and keep the ``top_k`` images of each class with the highest score.

    An image counts only for its best class. Of equal scores, the earlier image is kept. Independent of the size of the
    pool, the memory contains a block of records, twice ``num_classes * top_k`` candidates and 16 bytes per validation
    image.

    Args:
        pool: Records of the pool.
        val: Records of the validation set; unreadable images are skipped.
        num_classes: Number of classes of the teacher.
        top_k: Number of images per class.
        max_distance: Largest number of differing bits between the hashes of near-duplicates.
    """
    numbers, hashes = _readable_hashes(val)
    waiting: list[np.ndarray] = []
    result = Selection(np.empty(0, _CANDIDATE), np.zeros(num_classes, np.int64))
    for first, block in read_records(pool):
        block_idx = np.flatnonzero(block['label'] >= 0)
        distances, nearest = _nearest_hashes(block['hash'][block_idx], hashes)
        duplicate = distances <= max_distance
        result.num_duplicates += int(duplicate.sum())
        for idx in np.flatnonzero(duplicate)[: MAX_NAMED - len(result.duplicates)].tolist():
            match = (first + int(block_idx[idx]), int(numbers[nearest[idx]]), int(distances[idx]))
            result.duplicates.append(match)
        block_idx = block_idx[~duplicate]
        fresh = np.empty(len(block_idx), _CANDIDATE)
        fresh['label'], fresh['score'] = block['label'][block_idx], block['score'][block_idx]
        fresh['idx'] = first + block_idx
        result.candidates += np.bincount(fresh['label'], minlength=num_classes)
        waiting.append(fresh)
        # Wait for as many candidates as are kept, so that those are not sorted again for every block.
        if sum(map(len, waiting)) >= len(result.kept):
            result.kept, waiting = _best_of_each_class(np.concatenate([result.kept, *waiting]), top_k), []
    result.kept = _best_of_each_class(np.concatenate([result.kept, *waiting]), top_k)
    return result


def _readable_hashes(records: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the indices ``(V,)`` and hashes ``(V,)`` of the readable images."""
    numbers, hashes = [np.empty(0, np.int64)], [np.empty(0, np.uint64)]
    for first, block in read_records(records):
        readable = np.flatnonzero(block['label'] >= 0)
        numbers.append(first + readable)
        hashes.append(block['hash'][readable])
    return np.concatenate(numbers), np.concatenate(hashes)


def _nearest_hashes(hashes: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the number of differing bits ``(N,)`` to the nearest of the known hashes ``(V,)``, and its index ``(N,)``.

    Every pair is compared, so that none is missed: 50,000 known hashes take about 30 microseconds per hash.
    """
    distances, nearest = np.full(len(hashes), 255, np.uint8), np.zeros(len(hashes), np.int64)
    if len(known):
        for idx, bits in enumerate(hashes):
            differing = np.bitwise_count(known ^ bits)
            nearest[idx] = differing.argmin()
            distances[idx] = differing[nearest[idx]]
    return distances, nearest


def _best_of_each_class(candidates: np.ndarray, top_k: int) -> np.ndarray:
    """Return the ``top_k`` candidates of each class with the highest scores, ordered by class, score and index."""
    ordered = candidates[np.lexsort((candidates['idx'], -candidates['score'], candidates['label']))]
    starts = np.searchsorted(ordered['label'], ordered['label'])
    return ordered[np.arange(len(ordered)) - starts < top_k]


def classes_of(kept: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yield each class that has images, and its images."""
    labels, starts = np.unique(kept['label'], return_index=True)
    yield from zip(labels.tolist(), np.split(kept, starts[1:]), strict=True)
