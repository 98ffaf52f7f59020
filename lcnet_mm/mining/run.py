"""Mine a pool of images for distillation."""

from __future__ import annotations

import fcntl
import json
import os
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from mmengine.dist import barrier, is_main_process

from ..utils.errors import UserError
from ..utils.files import atomic_path, is_same_file, make_folder, write_json
from ..utils.memory import resident
from .parts import scan_in_parts
from .pool import PathFile, Source, find_unreadable, keep_paths, write_paths
from .scan import HASH_BITS, HASH_METHOD
from .selection import MAX_NAMED, Selection, classes_of, select
from .teacher import Teacher


@dataclass
class MiningReport:
    """The result of :func:`mine_images`.

    Attributes:
        out: Path of the list.
        kept: Number of images in the list.
        pool: ``size``, ``resumed`` (images that an earlier run had scored), ``unreadable``, and the first unreadable
            images as ``unreadable_files`` with ``file`` and ``reason``.
        val: The same for the validation set.
        duplicates: ``count``, ``max_distance`` in bits, and the first duplicates as ``files`` with ``file``, ``val``
            and ``distance``.
        top_k: Requested number of images per class.
        classes: For each class, ``index``, ``name``, ``candidates``, ``kept`` and ``threshold``, the lowest score that
            was kept.
        seconds: Time of this run for ``val`` and ``pool`` (reading, hashing and scoring), for the ``selection``, and in
            ``total``.
        peak_memory_mb: Peak resident memory in MiB of the ``main`` process and of the largest ``worker``, which shares
            most of it with the main process.
    """

    out: str
    kept: int
    pool: dict[str, Any]
    val: dict[str, Any]
    duplicates: dict[str, Any]
    top_k: int
    classes: list[dict[str, Any]]
    seconds: dict[str, float]
    peak_memory_mb: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON types."""
        return vars(self)

    def format_table(self) -> str:
        """Return the report as text."""
        full = sum(entry['kept'] == self.top_k for entry in self.classes)
        empty = sum(not entry['kept'] for entry in self.classes)
        pool, val, duplicates = self.pool, self.val, self.duplicates
        return '\n'.join(
            [
                f'{self.kept} of {pool["size"]} images are listed in {self.out}',
                f'  unreadable      {pool["unreadable"]} of the pool, {val["unreadable"]} of {val["size"]} validation '
                f'images',
                f'  near-duplicates {duplicates["count"]} of validation images, dropped',
                f'  classes         {len(self.classes)}: {full} with all {self.top_k} images, {empty} with none',
                f'  time            {self.seconds["total"]:.0f} s, {pool["resumed"]} images were scored before',
                f'  memory          {self.peak_memory_mb["main"]:.0f} MiB, {self.peak_memory_mb["worker"]:.0f} MiB the '
                f'largest worker',
            ]
        )


def mine_images(
    pool: Source,
    val: Source,
    teacher: Teacher,
    out: str | Path,
    work_dir: str | Path,
    *,
    top_k: int,
    with_label: bool = False,
    num_classes: int | None = None,
    max_distance: int = 8,
    max_unreadable: float = 0.01,
    batch_size: int = 64,
    workers: int | None = None,
    progress: bool = True,
) -> MiningReport | None:
    """List the images of a pool that a teacher is most certain of, without near-duplicates of validation images.

    Stage 1 of SSLD (https://arxiv.org/abs/2103.05959) mines ImageNet-22k in this way, but finds near-duplicates by SIFT
    matches instead of the 64 bits of ImageHash's pHash. An image is listed only for its best class.

    Paths, scores and hashes are kept in ``work_dir``: an interrupted run can be continued, with the same list as its
    result, and another ``top_k``, ``with_label`` or ``max_distance`` needs no new scores. The memory does not grow with
    the pool, because paths and records are read from disk in blocks; it contains some batches, ``classes * top_k``
    candidates of 16 bytes each and the hashes of the validation set, and while a folder is read, the names in it.

    In a group of processes, see :func:`~lcnet_mm.utils.distributed.join_group`, each scores a part of the images, with
    the same list as one process gives; ``work_dir`` must be on a disk that all of them see.

    Args:
        pool: Folders and lists of the images to choose from.
        val: Validation images, whose near-duplicates are left out; their labels must be classes of the teacher.
        teacher: The classifier that scores the pool.
        out: Text list to write, for ``ImageList``: absolute paths, ordered by class and score.
        work_dir: Folder of the intermediate results.
        top_k: Images per class.
        with_label: Whether the class index follows each path.
        num_classes: Number of classes that the teacher must have.
        max_distance: Largest number of differing bits, of 64, between near-duplicates.
        max_unreadable: Largest share of unreadable images, in the pool and in the validation set.
        batch_size: Number of images per batch.
        workers: Number of processes that decode images; by default the number of cores, 0 for none.
        progress: Whether to show progress bars.

    Returns:
        The report, in the first process of a group; None in the others.

    Raises:
        UserError: an argument or an input is invalid, the teacher has another number of classes, too many images are
            unreadable, no image is left, or ``work_dir`` is in use or belongs to other inputs.
    """
    started = time.perf_counter()
    _check_arguments(top_k, max_distance, max_unreadable, batch_size, workers)
    if num_classes is not None and num_classes != teacher.num_classes:
        raise UserError(f'the teacher has {teacher.num_classes} classes, expected {num_classes}')
    out, work_dir = Path(out), Path(work_dir)
    if out.is_dir():
        raise UserError(f'the list {out} cannot be written, because it is a folder')
    for given in (*pool.inputs, *val.inputs):
        if is_same_file(given, out):
            raise UserError(f'the list {out} is an input, which would be replaced; choose another name')
    make_folder(out.parent)
    seconds, done = {}, {}
    main = is_main_process()
    with _locked(work_dir) if main else nullcontext():
        if main:
            _open_work_dir(work_dir, pool, val, teacher)
        barrier()
        files = {name: PathFile(work_dir / name) for name in ('val', 'pool')}
        for name, paths in files.items():
            since = time.perf_counter()
            done[name] = scan_in_parts(
                paths,
                work_dir / f'{name}.records',
                teacher,
                hash_only=name == 'val',
                batch_size=batch_size,
                workers=(os.cpu_count() or 1) if workers is None else workers,
                max_unreadable=max_unreadable,
                progress=progress,
                what=name,
            )
            seconds[name] = time.perf_counter() - since
        if not main:
            return None
        since = time.perf_counter()
        selection = select(
            work_dir / 'pool.records', work_dir / 'val.records', teacher.num_classes, top_k, max_distance
        )
        if not len(selection.kept):
            raise UserError(
                f'no image of the pool is left: of {len(files["pool"])} images, {selection.num_duplicates} are '
                f'near-duplicates of validation images, and the others are unreadable'
            )
        _write_selection(out, files['pool'], selection, with_label)
        seconds['selection'] = time.perf_counter() - since
        seconds['total'] = time.perf_counter() - started
        described = {name: _describe_images(work_dir, name, paths, done[name]) for name, paths in files.items()}
        return MiningReport(
            str(out),
            len(selection.kept),
            described['pool'],
            described['val'],
            _describe_duplicates(selection, files, max_distance),
            top_k,
            _describe_classes(selection, teacher),
            {name: round(value, 2) for name, value in seconds.items()},
            dict(
                main=round(resident('VmHWM') / 2**20, 1),
                worker=round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**10, 1),
            ),
        )


def _check_arguments(
    top_k: int, max_distance: int, max_unreadable: float, batch_size: int, workers: int | None
) -> None:
    """Raise a UserError that names the first argument out of range."""
    for name, value, low, high in (
        ('top_k', top_k, 1, None),
        ('max_distance', max_distance, 0, HASH_BITS // 2),
        ('max_unreadable', max_unreadable, 0, 1),
        ('batch_size', batch_size, 1, None),
        ('workers', workers or 0, 0, None),
    ):
        if value < low or (high is not None and value > high):
            limits = f'at least {low}' if high is None else f'from {low} to {high}'
            raise UserError(f'{name} must be {limits}, got {value}')


@contextmanager
def _locked(work_dir: Path) -> Iterator[None]:
    """Lock a folder against a second run, which would write to the same records."""
    work_dir.mkdir(parents=True, exist_ok=True)
    with (work_dir / 'lock').open('w') as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(f'work dir {work_dir} is in use by another run; wait or choose another one') from error
        yield


def _open_work_dir(work_dir: Path, pool: Source, val: Source, teacher: Teacher) -> None:
    """Write the paths, and check that the folder has no records of other inputs."""
    fingerprint = dict(
        val=write_paths(work_dir / 'val', val.paths(teacher.num_classes)),
        pool=write_paths(work_dir / 'pool', pool.paths()),
        hash=HASH_METHOD,
        **teacher.fingerprint,
    )
    file = work_dir / 'fingerprint.json'
    if file.is_file():
        before = json.loads(file.read_text())
        changed = [name for name, value in fingerprint.items() if before.get(name) != value]
        if changed:
            raise UserError(
                f'work dir {work_dir} belongs to another run: {", ".join(changed)} changed since then; choose another '
                f'one, or delete it to start again'
            )
    for name in ('val', 'pool'):
        keep_paths(work_dir / name)
    write_json(file, fingerprint)


def _write_selection(out: Path, paths: PathFile, selection: Selection, with_label: bool) -> None:
    """Write the list, under its name only when it is complete."""
    with atomic_path(out) as unfinished, unfinished.open('wb') as file:
        for label, _, idx in selection.kept.tolist():
            file.write(os.fsencode(paths[idx]) + (b' %d\n' % label if with_label else b'\n'))


def _describe_images(work_dir: Path, name: str, paths: PathFile, done: int) -> dict[str, Any]:
    """Return the numbers of images and the unreadable ones of the pool or the validation set."""
    records = work_dir / f'{name}.records'
    return dict(
        size=len(paths),
        resumed=done,
        unreadable=sum(1 for _ in find_unreadable(records)),
        unreadable_files=[
            dict(file=paths[idx], reason=reason) for idx, reason in islice(find_unreadable(records), MAX_NAMED)
        ],
    )


def _describe_duplicates(selection: Selection, files: dict[str, PathFile], max_distance: int) -> dict[str, Any]:
    """Return the near-duplicates, each with the most similar validation image."""
    named = [
        dict(file=files['pool'][idx], val=files['val'][match], distance=distance)
        for idx, match, distance in selection.duplicates
    ]
    return dict(count=selection.num_duplicates, max_distance=max_distance, files=named)


def _describe_classes(selection: Selection, teacher: Teacher) -> list[dict[str, Any]]:
    """Return the numbers of each class, also of classes without images."""
    classes: list[dict[str, Any]] = [
        dict(
            index=index,
            name=teacher.class_names[index] if teacher.class_names else None,
            candidates=count,
            kept=0,
            threshold=None,
        )
        for index, count in enumerate(selection.candidates.tolist())
    ]
    for label, kept in classes_of(selection.kept):
        classes[label].update(kept=len(kept), threshold=float(kept['score'][-1]))
    return classes
