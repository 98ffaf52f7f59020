"""Checks of segmentation data: images, and label maps with a class index per pixel, as mmseg's loader reads them."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from ..utils.images import IMAGE_SUFFIXES
from .coco_file import AnnotationError
from .files import FileChecks, ImageFile, check_files, inspect_image, spread
from .report import DataFacts, Findings, Report, Summary

IGNORED = 255
_LABELS = 256
_NO_FOREGROUND = 'label maps of 0 and 255 only: 255 is ignored, so there is no pixel of class {}; write 1 for it'
# Formats that change what is written.
_LOSSY = ('JPEG', 'MPO', 'WEBP')


@dataclass(frozen=True)
class LabelOptions:
    """How label maps will be used.

    Attributes:
        classes: The class names; None if they are not known.
        num_classes: Number of classes where there are no names.
        ignore_index: The label of pixels without a class.
        reduce_zero_label: Whether the loader ignores 0 and takes 1 from the other labels.
        label_map: New labels by old ones, where the config takes some of the classes only.
        max_maps: Of how many maps at most the pixels are read, evenly spread; None reads all.
        palette_colors: Whether the loader reads the colors of a map with a palette and not its indices.
        rotates: Whether the loader turns images by their EXIF orientation.
    """

    classes: Sequence[str] | None = None
    num_classes: int | None = None
    ignore_index: int = IGNORED
    reduce_zero_label: bool = False
    label_map: dict[int, int] = field(default_factory=dict)
    max_maps: int | None = None
    palette_colors: bool = False
    rotates: bool = True


def check_label_maps(
    images: str | Path,
    labels: str | Path,
    classes: Sequence[str] | None = None,
    *,
    image_suffix: str | None = None,
    label_suffix: str = '.png',
    num_classes: int | None = None,
    decode: bool = False,
    max_listed: int = 5,
) -> Report:
    """Check a folder of images and a folder of label maps of the same names. All pixels of the maps are read.

    Args:
        images: Folder of the images, with all below it.
        labels: Folder of the maps.
        classes: Class names of the config.
        image_suffix: End of the images' names; the most frequent suffix by default.
        label_suffix: End of the maps' names in place of it.
        num_classes: Number of classes, without ``classes``; None does not check the range of the labels.
        decode: Whether to decode the images and not only to read their headers.
        max_listed: Examples per finding.

    Raises:
        AnnotationError: a folder does not exist.
    """
    images, labels = Path(images), Path(labels)
    for folder in (images, labels):
        if not folder.is_dir():
            raise AnnotationError(f'folder {folder} does not exist')
    findings = Findings(str(images), max_listed)
    pairs = find_pairs(images, labels, image_suffix, label_suffix, findings)
    options = LabelOptions(classes, num_classes)
    report = Report()
    report.add(findings, inspect_label_maps(images, pairs, findings, options, FileChecks(decode=decode)).summary)
    return report


def find_pairs(
    images: Path, labels: Path, image_suffix: str | None, label_suffix: str, findings: Findings
) -> list[tuple[Path, Path]]:
    """Return images and where their maps have to be; maps without an image and left out images are reported."""
    found = sorted(path for path in images.rglob('*') if path.is_file() and not path.name.startswith('.'))
    if image_suffix is None:
        suffixes = [path.suffix for path in found if path.suffix]
        image_suffix = max(sorted(set(suffixes)), key=suffixes.count, default='.jpg')
    pairs = []
    for path in found:
        if path.name.endswith(image_suffix):
            name = str(path.relative_to(images)).removesuffix(image_suffix)
            pairs.append((path, labels / (name + label_suffix)))
        elif path.suffix.lower() in IMAGE_SUFFIXES and images != labels:
            findings.add('file-left-out', path, text=f'image that does not end with {image_suffix}, which is left out')
    if images != labels:
        report_lonely_maps(labels, label_suffix, {map_path for _, map_path in pairs}, findings)
    return pairs


def report_lonely_maps(labels: Path, suffix: str, wanted: set[Path], findings: Findings) -> None:
    """Report label maps that belong to no image."""
    lonely = [path for path in sorted(labels.rglob(f'*{suffix}')) if path not in wanted]
    if lonely:
        findings.add('labels-without-image', *lonely[: findings.max_listed], count=len(lonely))


def inspect_label_maps(
    source: Path,
    pairs: Sequence[tuple[Path, Path]],
    findings: Findings,
    options: LabelOptions,
    file_checks: FileChecks,
) -> DataFacts:
    """Check images and their maps.

    Args:
        source: What the summary calls them by.
        pairs: Images and where their maps have to be.
        findings: Where to report.
        options: How the maps are used.
        file_checks: How closely the images are looked at.
    """
    if not pairs:
        findings.add('folder-empty', source)
    check_files([ImageFile(image) for image, _ in pairs], findings, file_checks)
    present = []
    for image, labels in pairs:
        if os.path.isfile(labels):
            present.append((image, labels))
        else:
            findings.add('labels-missing', f'{labels} of {image.name}')
    chosen = set(spread(range(len(present)), options.max_maps))
    first, rest = ([pair for row, pair in enumerate(present) if (row in chosen) is wanted] for wanted in (True, False))
    pixels = _count_pixels(first, options, findings, file_checks.workers)
    if rest and _has_one_class(pixels, options):
        # Rare objects may just not be in the sample.
        pixels += _count_pixels(rest, options, findings, file_checks.workers)
        rest = []
    if rest:
        findings.add('config-sample', text=f'pixels of {len(first)} of {len(present)} label maps read')
    names = _class_names(options, pixels)
    _check_pixels(pixels, names, not rest, options, findings)
    total = pixels[: len(names)].sum()
    shares = {name: float(pixels[label] / total) if total else 0.0 for label, name in enumerate(names)}
    left_out = {'images without a label map': len(pairs) - len(present)}
    summary = Summary(str(source), 'label maps', len(pairs), len(present), 'share of pixels', shares, left_out)
    return DataFacts(summary, [image for image, _ in pairs], list(options.classes) if options.classes else None)


def _count_pixels(
    pairs: Sequence[tuple[Path, Path]], options: LabelOptions, findings: Findings, workers: int | None
) -> np.ndarray:
    """Return the histogram of the labels of maps ``(256,)``."""
    pixels = np.zeros(_LABELS, np.int64)
    with ThreadPoolExecutor(workers or os.cpu_count()) as pool, warnings.catch_warnings():
        warnings.simplefilter('ignore')  # Pillow's remarks on large images.
        for counts, faults in pool.map(lambda pair: _read_map(pair[0], pair[1], options), pairs):
            for rule, example in faults:
                findings.add(rule, example)
            pixels += counts
    return pixels


def _has_one_class(pixels: np.ndarray, options: LabelOptions) -> bool:
    return len({int(label) for label in np.flatnonzero(pixels)} - {options.ignore_index}) <= 1


def _class_names(options: LabelOptions, pixels: np.ndarray) -> list[str]:
    if options.classes:
        return list(options.classes)
    used = np.flatnonzero(np.delete(pixels, options.ignore_index) if options.ignore_index < _LABELS else pixels)
    return [str(label) for label in range(options.num_classes or (int(used[-1]) + 1 if len(used) else 0))]


def _read_map(image: Path, labels: Path, options: LabelOptions) -> tuple[np.ndarray, list[tuple[str, str]]]:
    """Return the histogram of the labels as the loader gives them ``(256,)``, and what is wrong."""
    nothing = np.zeros(_LABELS, np.int64)
    name = str(labels)
    try:
        with Image.open(labels) as file:
            mode, form = file.mode, file.format or ''
            content = np.asarray(file)
    except Exception as error:  # Pillow's readers of broken files raise almost anything.
        if isinstance(error, MemoryError):
            raise
        return nothing, [('labels-undecodable', f'{name} cannot be decoded as an image ({type(error).__name__})')]
    if content.ndim != 2 or (mode == 'P' and options.palette_colors):
        return nothing, [('labels-color', f'{name} is {mode}')]
    if content.dtype not in (np.uint8, np.bool_):
        return nothing, [('labels-depth', f'{name} is {content.dtype}')]
    faults = [('labels-lossy', f'{name} is {form}')] if form in _LOSSY else []
    size, _ = inspect_image(ImageFile(image), FileChecks(rotates=options.rotates))
    height, width = content.shape
    if size is not None and size != (width, height):
        shown = f'{name} has the shape {height}x{width} (height x width), its image {size[1]}x{size[0]}'
        faults.append(('labels-size', shown))
    counts = _translate(np.bincount(content.astype(np.uint8).ravel(), minlength=_LABELS), options)
    allowed = len(options.classes) if options.classes else options.num_classes
    if allowed is not None:
        unknown = [label for label in np.flatnonzero(counts) if label >= allowed and label != options.ignore_index]
        if unknown and not _is_mask_of_255(counts, options):
            shown = ', '.join(map(str, unknown[:5]))
            limits = f'0 to {allowed - 1} and {options.ignore_index} (ignored)'
            faults.append(('labels-unknown', f'{name}: unknown label {shown}; allowed are {limits}'))
    if counts.sum() and counts.sum() == counts[options.ignore_index % _LABELS]:
        faults.append(('labels-all-ignored', name))
    return counts, faults


def _translate(counts: np.ndarray, options: LabelOptions) -> np.ndarray:
    """Return the histogram after the loader has changed the labels."""
    table = np.arange(_LABELS)
    if options.reduce_zero_label:
        # 0 becomes 255; all others lose 1, but 255 stays.
        table = np.concatenate([[IGNORED], np.arange(_LABELS - 2), [IGNORED]])
    loaded = table.copy()
    for old, new in options.label_map.items():
        table[loaded == old] = new
    return np.bincount(table, counts, minlength=_LABELS)[:_LABELS].astype(np.int64)


def _is_mask_of_255(counts: np.ndarray, options: LabelOptions) -> bool:
    return options.ignore_index == IGNORED and set(np.flatnonzero(counts)) <= {0, IGNORED}


def _check_pixels(
    pixels: np.ndarray, names: list[str], complete: bool, options: LabelOptions, findings: Findings
) -> None:
    """Check which classes occur at all."""
    occurring = {int(label) for label in np.flatnonzero(pixels)}
    classes = occurring - {options.ignore_index}
    expected = len(options.classes) if options.classes else options.num_classes or 2
    if not occurring or expected < 2:
        return
    if classes == {0} and IGNORED in occurring and options.ignore_index == IGNORED and not options.reduce_zero_label:
        findings.add('labels-255', text=_NO_FOREGROUND.format(repr(names[1]) if len(names) > 1 else 1))
    elif len(classes) <= 1:
        only = names[next(iter(classes))] if classes and next(iter(classes)) < len(names) else 'none'
        findings.add('labels-single-class', f'class {only}')
    elif complete:
        for label, name in enumerate(names):
            if label not in classes:
                findings.add('labels-class-unused', name)
