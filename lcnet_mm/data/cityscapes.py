"""Checking a Cityscapes folder, and making the maps of train ids that mmsegmentation trains on."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ..utils.files import write_atomically
from .report import Findings, Report, Summary
from .rules import ERROR, NOTE

IMAGE_SUFFIX = '_leftImg8bit.png'
LABEL_SUFFIX = '_gtFine_labelIds.png'
POLYGON_SUFFIX = '_gtFine_polygons.json'
TRAIN_ID_SUFFIX = '_gtFine_labelTrainIds.png'
IGNORED = 255
SPLITS = ('train', 'val', 'test')


class CityscapesError(ValueError):
    """A folder that is not a Cityscapes folder at all."""


@dataclass
class CityscapesReport(Report):
    """What :func:`prepare_cityscapes` found and made.

    Attributes:
        images: Number of images by split.
        converted: Number of maps made now.
        kept: Number of maps that were there already.
        pixels: Share of each class among the labeled pixels of the maps made now.
    """

    images: dict[str, int] = field(default_factory=dict)
    converted: int = 0
    kept: int = 0
    pixels: dict[str, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON types."""
        return {**super().to_dict(), 'images': self.images, 'converted': self.converted, 'kept': self.kept}

    def format_table(self) -> str:
        """Return the report as text for one screen."""
        counts = ', '.join(f'{count} {split}' for split, count in self.images.items())
        return f'{counts} images; maps of train ids: {self.converted} made, {self.kept} kept\n{super().format_table()}'


@dataclass
class _Pair:
    """An image and the file that its labels come from."""

    split: str
    image: Path
    source: Path
    target: Path


def train_id_table() -> np.ndarray:
    """Train ids of the 256 label ids as ``cityscapesscripts`` gives them; -1 where an id is not in its table."""
    from cityscapesscripts.helpers.labels import id2label

    table = np.full(256, -1, np.int16)
    for label_id, label in id2label.items():
        if label_id >= 0:
            table[label_id] = label.trainId if 0 <= label.trainId < IGNORED else IGNORED
    return table


def _find_pairs(root: Path, findings: Findings) -> Iterator[_Pair]:
    """Yield the images of all splits that have labels; those without are findings."""
    for split in SPLITS:
        images = sorted((root / 'leftImg8bit' / split).glob(f'*/*{IMAGE_SUFFIX}'))
        stems = set()
        for image in images:
            stem = image.name.removesuffix(IMAGE_SUFFIX)
            stems.add((image.parent.name, stem))
            folder = root / 'gtFine' / split / image.parent.name
            for suffix in (LABEL_SUFFIX, POLYGON_SUFFIX):
                if (folder / (stem + suffix)).is_file():
                    yield _Pair(split, image, folder / (stem + suffix), folder / (stem + TRAIN_ID_SUFFIX))
                    break
            else:
                text = f'{split} image without {LABEL_SUFFIX} or {POLYGON_SUFFIX}'
                findings.add('labels-missing', image.name, text=text)
        for label in sorted((root / 'gtFine' / split).glob(f'*/*{LABEL_SUFFIX}')):
            if (label.parent.name, label.name.removesuffix(LABEL_SUFFIX)) not in stems:
                findings.add('labels-without-image', label.name, severity=ERROR)


def prepare_cityscapes(
    root: str | os.PathLike[str],
    *,
    convert: bool = True,
    workers: int | None = None,
    progress: bool = True,
    max_listed: int = 5,
) -> CityscapesReport:
    """Check a Cityscapes folder and write ``*_gtFine_labelTrainIds.png`` beside the labels.

    The ids come from ``*_gtFine_labelIds.png``, or where that is missing from ``*_gtFine_polygons.json``. A map that is
    newer than its labels is kept, so an interrupted run goes on where it stopped; each map appears complete. A faulty
    label map is not converted.

    Args:
        root: The folder with ``leftImg8bit/`` and ``gtFine/``.
        convert: Whether to write maps; otherwise everything is checked and nothing written.
        workers: Files at a time; all cores by default.
        progress: Shows a progress bar.
        max_listed: Examples per finding.

    Raises:
        CityscapesError: the folder has no images in this layout.
    """
    from tqdm import tqdm

    root = Path(root)
    images = {split: len(list((root / 'leftImg8bit' / split).glob(f'*/*{IMAGE_SUFFIX}'))) for split in SPLITS}
    if not any(images.values()):
        raise CityscapesError(
            f'{root} has no images leftImg8bit/{{train,val,test}}/CITY/*{IMAGE_SUFFIX}; name the folder that holds '
            f'leftImg8bit and gtFine'
        )
    findings = Findings(str(root), max_listed)
    for split in ('train', 'val'):
        if not images[split]:
            findings.add('cityscapes-split', split)
    pairs = list(_find_pairs(root, findings))
    report = CityscapesReport(images=images)
    table = train_id_table()
    counts = np.zeros(256, np.int64)
    sizes: Counter[tuple[int, int]] = Counter()

    def work(pair: _Pair) -> tuple[np.ndarray | None, list[tuple[str, str]], tuple[int, int] | None]:
        if convert and pair.target.is_file() and pair.target.stat().st_mtime >= pair.source.stat().st_mtime:
            return None, [], None
        return _convert_labels(pair, table, convert)

    with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        results = tqdm(pool.map(work, pairs), total=len(pairs), desc='label maps', unit='map', disable=not progress)
        for pair, (histogram, faults, size) in zip(pairs, results, strict=True):
            for rule, example in faults:
                findings.add(rule, example)
            if faults:
                continue
            if histogram is None:
                report.kept += 1
                continue
            report.converted += convert
            if pair.split != 'test':
                counts += histogram
            if size is not None:
                sizes[size] += 1
    if len(sizes) > 1:
        shown = ', '.join(f'{width}x{height}: {count}' for (width, height), count in sizes.most_common(3))
        findings.add('cityscapes-sizes', shown)
    report.pixels = _class_shares(counts)
    for name, share in report.pixels.items():
        if share == 0:
            findings.add('labels-class-unused', name, severity=NOTE)
    used = sum(1 for pair in pairs if pair.split != 'test')
    summary = Summary(str(root), 'Cityscapes', sum(images.values()), used, 'share of pixels', report.pixels)
    report.add(findings, summary)
    return report


def _convert_labels(
    pair: _Pair, table: np.ndarray, convert: bool
) -> tuple[np.ndarray | None, list[tuple[str, str]], tuple[int, int] | None]:
    """Check one label map and write its train ids.

    Returns:
        The histogram of train ids ``(256,)``, the faults as rule and example, and the width and height.
    """
    image = cv2.imread(str(pair.image), cv2.IMREAD_REDUCED_GRAYSCALE_8)
    if image is None:
        return None, [('file-undecodable', pair.image.name)], None
    try:
        labels = _read_label_ids(pair.source)
    except (OSError, ValueError, KeyError, cv2.error) as error:
        return None, [('cityscapes-source', f'{pair.source.name}: {error}')], None
    height, width = labels.shape
    if image.shape != (-(-height // 8), -(-width // 8)):
        # The reduced image tells the size only roughly.
        whole = cv2.imread(str(pair.image), cv2.IMREAD_GRAYSCALE)
        if whole is None:
            return None, [('file-undecodable', pair.image.name)], None
        if whole.shape != labels.shape:
            example = f'{pair.source.name} {width}x{height}, image {whole.shape[1]}x{whole.shape[0]}'
            return None, [('labels-size', example)], None
    mapped = table[labels]
    unknown = np.unique(labels[mapped < 0])
    if len(unknown):
        example = f'{pair.source.name}: {", ".join(map(str, unknown[:5]))}'
        return None, [('cityscapes-id', example)], None
    train_ids = mapped.astype(np.uint8)
    if convert:
        write_atomically(pair.target, cv2.imencode('.png', train_ids)[1].tobytes())
    return np.bincount(train_ids.ravel(), minlength=256), [], (width, height)


def _read_label_ids(path: Path) -> np.ndarray:
    """Label ids ``(H, W)`` from a map, or drawn from polygons by ``cityscapesscripts``.

    Raises:
        ValueError: the file cannot be decoded or has more than one channel.
    """
    if path.name.endswith(POLYGON_SUFFIX):
        from cityscapesscripts.helpers.annotation import Annotation
        from cityscapesscripts.helpers.labels import name2label
        from cityscapesscripts.preparation.json2labelImg import createLabelImage

        annotation = Annotation()
        annotation.fromJsonFile(str(path))
        unknown = {item.label for item in annotation.objects} - set(name2label)
        unknown = {name for name in unknown if name.removesuffix('group') not in name2label}
        if unknown:
            raise ValueError(f'unknown label {", ".join(sorted(unknown)[:5])}')
        return np.array(createLabelImage(annotation, 'ids'))
    labels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if labels is None:
        raise ValueError('not an image')
    if labels.ndim != 2 or labels.dtype != np.uint8:
        raise ValueError(f'a label map has one channel of 8 bits, this one {labels.shape} {labels.dtype}')
    return labels


def _class_shares(counts: np.ndarray) -> dict[str, float]:
    """Return the share of each of the 19 classes among the pixels that have a class; empty if there are none."""
    from cityscapesscripts.helpers.labels import trainId2label

    total = counts[:IGNORED].sum()
    names = {label.trainId: label.name for label in trainId2label.values() if 0 <= label.trainId < IGNORED}
    return {names[train_id]: float(counts[train_id] / total) for train_id in sorted(names)} if total else {}
