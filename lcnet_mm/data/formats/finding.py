"""Finding images: by what a label file says of them, which is often a path of another computer."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from ...utils.images import IMAGE_SUFFIXES

# Label Studio puts eight hexadecimal digits before the name of an uploaded file.
_UPLOAD_PREFIX = re.compile(r'^[0-9a-f]{8}-')


def is_image(path: Path) -> bool:
    """Whether a file has the suffix of an image and is not hidden, as macOS' ``._a.jpg`` is."""
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith('.')


def visible_files(folder: Path, *suffixes: str) -> list[Path]:
    """Return the sorted files below a folder that are not hidden and not in a hidden folder."""
    return sorted(
        path
        for path in folder.rglob('*')
        if path.suffix.lower() in suffixes
        and not any(part.startswith('.') or part == '__MACOSX' for part in path.relative_to(folder).parts)
        and path.is_file()
    )


def visible_images(folder: Path) -> list[Path]:
    """Return the sorted images below a folder; see :func:`visible_files`."""
    return visible_files(folder, *IMAGE_SUFFIXES)


def plain_path(text: str) -> str:
    r"""Return a path with slashes, whichever system wrote it, and without the scheme of an address.

    >>> plain_path('..\\images\\a.jpg')
    '../images/a.jpg'
    """
    if '://' in text or text.startswith('/data/'):
        parts = urlsplit(text)
        # Label Studio's local files: /data/local-files/?d=folder/a.jpg
        text = parse_qs(parts.query).get('d', [parts.path])[0]
        text = unquote(text)
    return text.replace('\\', '/')


class ImageIndex:
    """Finds images below folders by the longest end of their path that is known.

    Args:
        folders: Where to look, with all below them.
    """

    def __init__(self, folders: Iterable[Path]) -> None:
        self.images = list(dict.fromkeys(path for folder in folders for path in visible_images(folder)))
        self._by_name: dict[str, list[Path]] = {}
        self._by_stem: dict[str, list[Path]] = {}
        for path in self.images:
            self._by_name.setdefault(path.name, []).append(path)
            self._by_stem.setdefault(path.stem, []).append(path)

    def find(self, text: str, near: Path | None = None) -> Path | None:
        """Return the image that a label file names, or None.

        Args:
            text: What the label file says: a path, possibly of another computer, or an address.
            near: Folder of the label file, where the path itself is tried first.
        """
        name = plain_path(text)
        if not name:
            return None
        if near is not None and (near / name).is_file():
            return near / name
        parts = [part for part in name.split('/') if part not in ('', '.', '..')]
        if not parts:
            return None
        found = self._by_name.get(parts[-1]) or self._by_name.get(_UPLOAD_PREFIX.sub('', parts[-1]), [])
        return self._closest(found, parts)

    def find_stem(self, stem: str, near: Path | None = None) -> Path | None:
        """Return the image of this name without its suffix; of several the one whose path is most like ``near``."""
        return self._closest(self._by_stem.get(stem, []), list(near.parts) if near else [])

    @staticmethod
    def _closest(found: list[Path], parts: list[str]) -> Path | None:
        def score(path: Path) -> tuple[int, int]:
            same_end = 0
            for mine, wanted in zip(reversed(path.parts), reversed(parts), strict=False):
                if mine != wanted:
                    break
                same_end += 1
            return same_end, len(set(path.parts) & set(parts))

        if len(found) > 1:
            scores = sorted(map(score, found), reverse=True)
            if scores[0] == scores[1]:
                return None
        return max(found, key=score, default=None)
