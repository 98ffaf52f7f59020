"""Scanning a pool in several processes, each of which scores a part."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import all_reduce, barrier, get_rank, get_world_size, is_main_process

from .pool import RECORD, PathFile, count_records
from .scan import check_share, scan
from .teacher import Teacher


def scan_in_parts(
    paths: PathFile,
    records_file: Path,
    teacher: Teacher,
    *,
    batch_size: int,
    max_unreadable: float,
    what: str,
    progress: bool,
    **options: Any,
) -> int:
    """Hash and score images as :func:`~lcnet_mm.mining.scan.scan`, divided among the processes of the group.

    Each process has whole batches that follow each other, the same as one process would have, so that the records are
    the same; they are in a file of its own until all are complete. A continued run of as many processes goes on in
    these files; one of another number uses what follows on the common records.

    Returns:
        Number of records that there were before.

    Raises:
        UserError: as for ``scan``.
    """
    rank, world = get_rank(), get_world_size()
    if is_main_process():
        kept = {_part_file(records_file, part) for part in _divide(records_file, len(paths), batch_size, world)}
        if world == 1 or not set(_part_files(records_file)) <= kept:
            _join(records_file)
    barrier()
    scanning = dict(batch_size=batch_size, max_unreadable=max_unreadable, what=what, **options)
    if world == 1:
        return scan(paths, records_file, teacher, progress=progress, **scanning)
    parts = _divide(records_file, len(paths), batch_size, world)
    done = torch.tensor([parts[0].start if rank == 0 else 0])
    if part := parts[rank]:
        own = _part_file(records_file, part)
        done += scan(paths, own, teacher, part=part, progress=progress and is_main_process(), **scanning)
    # Waits for all.
    all_reduce(done)
    if is_main_process():
        _join(records_file)
        check_share(paths, records_file, max_unreadable, what)
    barrier()
    return int(done)


def _divide(records_file: Path, size: int, batch_size: int, world: int) -> list[range]:
    """Return the images of each process, in whole batches, without those that the common records have."""
    done = count_records(records_file)
    first = done if done >= size else done - done % batch_size
    batches = -(-(size - first) // batch_size)
    ends = [min(first + batches * number // world * batch_size, size) for number in range(world + 1)]
    return [range(start, end) for start, end in pairwise(ends)]


def _part_file(records_file: Path, part: range) -> Path:
    return records_file.with_name(f'{records_file.name}.{part.start}-{part.stop}')


def _part_files(records_file: Path) -> dict[Path, range]:
    """Return the files of parts, in order, and the images that each is for."""
    found = {}
    for path in records_file.parent.glob(f'{records_file.name}.*'):
        if match := re.fullmatch(r'(\d+)-(\d+)', path.name.removeprefix(f'{records_file.name}.')):
            found[path] = range(int(match[1]), int(match[2]))
    return dict(sorted(found.items(), key=lambda item: item[1].start))


def _join(records_file: Path) -> None:
    """Move the records of the parts to the end of the common ones as far as they follow on each other.

    A part of which a kill has left only the beginning there is moved as a whole.
    """
    for path, part in _part_files(records_file).items():
        done = count_records(records_file)
        if part.start <= done < part.start + count_records(path):
            with records_file.open('ab') as file:
                file.truncate(part.start * RECORD.itemsize)
                file.write(path.read_bytes())
        path.unlink()
