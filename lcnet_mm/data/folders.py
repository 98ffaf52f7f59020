"""Checks of a classifier's data: folders of images whose names are the classes, and lists with class indices."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from .coco_file import AnnotationError
from .files import FileChecks, ImageFile, check_files
from .report import DataFacts, Findings, Report, Summary
from .textfiles import read_lines

# mmpretrain's CustomDataset and ImageNet take these, in lower or upper case.
EXTENSIONS = ('.jpg', '.jpeg', '.png', '.ppm', '.bmp', '.pgm', '.tif')
# Files that look like images but are none of EXTENSIONS.
_OTHER_IMAGES = ('.webp', '.gif', '.tiff', '.jfif', '.avif', '.heic', '.jp2')


@dataclass(frozen=True)
class ListOptions:
    """How a list of images will be used.

    Attributes:
        images: Folder that its paths are relative to.
        classes: The class names; None if they are not known.
        num_classes: Number of classes where there are no names.
        with_label: Whether a class index follows each path.
        skips_blank: Whether the loader passes over blank lines and other white space, as this package's ImageList does.
    """

    images: Path
    classes: Sequence[str] | None = None
    num_classes: int | None = None
    with_label: bool = True
    skips_blank: bool = False


def check_list(
    file: str | Path,
    images: str | Path | None = None,
    classes: Sequence[str] | None = None,
    *,
    decode: bool = False,
    max_listed: int = 5,
) -> Report:
    """Check a list with a path and a class index per line, or with paths only.

    Args:
        file: The list.
        images: Folder that the paths are relative to; the list's own by default.
        classes: Class names of the config; None does not compare their number.
        decode: Whether to decode the images and not only to read their headers.
        max_listed: Examples per finding.

    Raises:
        AnnotationError: the list does not exist or is not text.
    """
    file = Path(file)
    findings = Findings(str(file), max_listed)
    with_label = _has_labels(file)
    options = ListOptions(Path(images or file.parent), classes, with_label=with_label)
    report = Report()
    report.add(findings, inspect_list(file, findings, options, FileChecks(decode=decode)).summary)
    return report


def _has_labels(file: Path) -> bool:
    """Whether more lines of a list end with a number than not."""
    lines = [line.split() for _, line in read_lines(file, Findings())]
    lines = [words for words in lines if words]
    return sum(len(words) > 1 and words[-1].lstrip('-').isdigit() for words in lines) * 2 >= len(lines)


def inspect_list(file: Path, findings: Findings, options: ListOptions, file_checks: FileChecks) -> DataFacts:
    """Check each line of a list and the images that it names.

    Raises:
        AnnotationError: the list does not exist or is not text.
    """
    names = list(options.classes) if options.classes is not None else None
    count = len(names) if names is not None else options.num_classes
    labels: dict[str, int] = {}
    files: list[ImageFile] = []
    per_label: Counter[int] = Counter()
    for number, path, label in _read_entries(file, findings, options):
        where = f'{file}, line {number}'
        if label is not None and not 0 <= label < (math.inf if count is None else count):
            text = None if count is None else f'class index outside of the {count} classes'
            findings.add('list-label', f'{where}: {label}', text=text)
        if path in labels and label is not None and labels[path] != label:
            findings.add('list-conflict', f'{where}: {path} is {label} and {labels[path]}')
        elif path in labels:
            findings.add('list-duplicate', f'{where}: {path}')
        labels[path] = -1 if label is None else label
        per_label[labels[path]] += 1
        if '\\' in path:
            findings.add('image-name-windows', f'{where}: {path}')
        files.append(ImageFile(options.images / path))
    if not files:
        findings.add('list-empty', file)
    check_files(files, findings, file_checks)
    per_class = {names[i] if names else str(i): per_label[i] for i in range(count or max(per_label, default=-1) + 1)}
    _report_unused(per_class, findings)
    summary = Summary(str(file), 'list', len(files), len(files), 'images', dict(per_class))
    return DataFacts(summary, [image.path for image in files], names)


def _read_entries(file: Path, findings: Findings, options: ListOptions) -> Iterator[tuple[int, str, int | None]]:
    """Yield the number of a line, its path and its label, as the loader splits them."""
    for number, line in read_lines(file, findings):
        if not line.strip():
            if not options.skips_blank:
                findings.add('list-blank', f'{file}, line {number}')
            continue
        if not options.with_label:
            path = line.strip() if options.skips_blank else line
            if '\0' not in path:
                yield number, path, None
            continue
        parts = line.strip().rsplit(None if options.skips_blank else ' ', 1)
        try:
            path, label = parts[0], int(parts[1])
        except (IndexError, ValueError):
            findings.add('list-line', f'{file}, line {number}: {line.strip()!r}')
            continue
        yield number, path, label


def _report_unused(per_class: dict[str, int], findings: Findings) -> None:
    for name, count in per_class.items():
        if not count:
            findings.add('class-empty', name)


def check_class_folders(
    root: str | Path, classes: Sequence[str] | None = None, *, decode: bool = False, max_listed: int = 5
) -> Report:
    """Check a folder with a folder of images per class.

    Args:
        root: The folder.
        classes: Class names of the config; None does not compare them.
        decode: Whether to decode the images and not only to read their headers.
        max_listed: Examples per finding.

    Raises:
        AnnotationError: the folder does not exist.
    """
    findings = Findings(str(root), max_listed)
    report = Report()
    report.add(findings, inspect_class_folders(Path(root), findings, FileChecks(decode=decode), classes).summary)
    return report


def list_class_folders(root: Path) -> list[str]:
    """Return the folders that mmpretrain numbers as classes, sorted as it does; hidden ones are among them.

    Raises:
        AnnotationError: the folder does not exist or cannot be read.
    """
    try:
        return sorted(entry.name for entry in os.scandir(root) if entry.is_dir())
    except OSError as error:
        raise AnnotationError(f'folder {root} cannot be read: {error.strerror}') from error


def inspect_class_folders(
    root: Path,
    findings: Findings,
    file_checks: FileChecks,
    classes: Sequence[str] | None = None,
    extensions: Sequence[str] = EXTENSIONS,
) -> DataFacts:
    """Check the folders of a classifier's data and their images.

    Raises:
        AnnotationError: the folder does not exist or cannot be read.
    """
    folders = list_class_folders(root)
    extensions = tuple(extension.lower() for extension in extensions)
    for name in folders:
        if is_hidden(name):
            findings.add('class-hidden', root / name)
    if not folders:
        findings.add('class-folder', root, text='no folder per class')
    elif classes is not None and len(classes) != len(folders):
        findings.add('class-folder', text=f'{len(folders)} class folders for {len(classes)} classes')
    files: list[ImageFile] = []
    counts: dict[str, int] = {}
    left_out: Counter[str] = Counter()
    for name in folders:
        before = len(files)
        for path in _walk(root / name):
            if path.name.lower().endswith(extensions):
                files.append(ImageFile(path))
            else:
                left_out[path.suffix.lower()] += 1
                if path.suffix.lower() in _OTHER_IMAGES:
                    findings.add('file-left-out', path)
        counts[name] = len(files) - before
    loose = [path for path in sorted(root.iterdir()) if path.is_file() and path.name.lower().endswith(extensions)]
    if folders and loose:
        findings.add('class-loose', *loose[: findings.max_listed], count=len(loose))
    if not files:
        findings.add('folder-empty', root)
    _report_unused(counts, findings)
    check_files(files, findings, file_checks, may_be_missing=False)
    named = dict(zip(classes, counts.values(), strict=True)) if classes and len(classes) == len(counts) else counts
    reasons = {f'files {suffix or "without suffix"}': count for suffix, count in left_out.items()}
    reasons['images outside of the class folders'] = len(loose) if folders else 0
    summary = Summary(str(root), 'class folders', len(files), len(files), 'images', dict(named), reasons)
    return DataFacts(summary, [file.path for file in files], folders)


def is_hidden(name: str) -> bool:
    """Whether a folder is one that programs make: of Jupyter, macOS, Windows or a version control."""
    return name.startswith('.') or name in ('__MACOSX', '@eaDir', '__pycache__', '$RECYCLE.BIN')


def _walk(folder: Path) -> Iterator[Path]:
    """Yield the files that mmengine lists in a folder and all below it: none whose name begins with a dot."""
    for root, folders, names in os.walk(folder):
        folders.sort()
        yield from (Path(root, name) for name in sorted(names) if not name.startswith('.'))


def inspect_images(
    root: Path, findings: Findings, file_checks: FileChecks, extensions: Sequence[str] = EXTENSIONS
) -> DataFacts:
    """Check a folder of images without labels.

    Raises:
        AnnotationError: the folder does not exist.
    """
    if not root.is_dir():
        raise AnnotationError(f'folder {root} does not exist')
    paths = list(_walk(root))
    files = [ImageFile(path) for path in paths if path.name.lower().endswith(tuple(extensions))]
    others = [path for path in paths if path.suffix.lower() in _OTHER_IMAGES and ImageFile(path) not in files]
    if others:
        findings.add('file-left-out', *others[: findings.max_listed], count=len(others))
    if not files:
        findings.add('folder-empty', root)
    check_files(files, findings, file_checks, may_be_missing=False)
    summary = Summary(str(root), 'images', len(files), len(files), 'images')
    return DataFacts(summary, [file.path for file in files])
