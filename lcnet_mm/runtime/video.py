"""Frames of videos, cameras and streams, and videos to write."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from ..utils.errors import UserError

VIDEO_SUFFIXES = ('.mp4', '.avi', '.mov', '.mkv', '.webm')
_STREAMS = ('rtsp://', 'rtsps://', 'rtmp://', 'http://', 'https://', 'udp://', 'tcp://')
# Of a source that does not say its own.
_FRAME_RATE = 25.0
# Seconds to wait before a stream that broke off is opened again; the first frame begins a new count.
_WAITS = (1.0, 2.0, 4.0, 8.0)


def is_video(name: str) -> bool:
    """Return whether an argument names a video, a camera by its number, or a stream by its address."""
    is_file = Path(name).suffix.lower() in VIDEO_SUFFIXES and not Path(name).is_dir()
    return is_file or _is_camera(name) or name.startswith(_STREAMS)


def _is_camera(name: str) -> bool:
    return name.isascii() and name.isdigit() and not Path(name).exists()


class VideoSource:
    """The frames of a video file, a camera or a stream.

    Args:
        name: A file, the number of a camera, or the address of a stream.

    Attributes:
        kind: 'video', 'camera' or 'stream'.
        rate: Frames per second; 25 where the source does not say.
        count: Number of frames that the source says it has; 0 where it does not.

    Raises:
        UserError: it does not exist or cannot be opened.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.kind = 'camera' if _is_camera(name) else 'stream' if name.startswith(_STREAMS) else 'video'
        if self.kind == 'video' and not Path(name).is_file():
            raise UserError(f'video {name} does not exist')
        self._capture = self._open()
        if not self._capture.isOpened():
            raise UserError(f'{self.kind} {name} cannot be opened')
        self.rate = self._capture.get(cv2.CAP_PROP_FPS) or _FRAME_RATE
        self.count = _stated_count(self._capture) if self.kind == 'video' else 0

    def _open(self) -> cv2.VideoCapture:
        return cv2.VideoCapture(int(self.name) if self.kind == 'camera' else self.name)

    def __iter__(self) -> Iterator[np.ndarray]:
        """Yield BGR frames ``(H, W, 3)``; a stream that breaks off is opened again, a few times in turn."""
        failures = 0
        try:
            while True:
                read, image = self._capture.read()
                if read:
                    failures = 0
                    yield image
                elif self.kind != 'stream' or failures == len(_WAITS):
                    return
                else:
                    wait = _WAITS[failures]
                    failures += 1
                    print(
                        f'note: {self.name} broke off; opening it again ({failures} of {len(_WAITS)})', file=sys.stderr
                    )
                    self._capture.release()
                    time.sleep(wait)
                    self._capture = self._open()
        finally:
            self._capture.release()


def count_frames(file: str | Path) -> int:
    """Return the number of frames that a video says it has; 0 where it cannot be opened or does not know."""
    capture = cv2.VideoCapture(str(file))
    count = _stated_count(capture) if capture.isOpened() else 0
    capture.release()
    return count


def _stated_count(capture: cv2.VideoCapture) -> int:
    """Return the number of frames that an open source says it has; 0 where it does not."""
    return max(int(capture.get(cv2.CAP_PROP_FRAME_COUNT)), 0)


class VideoWriter:
    """A video file, opened at the first frame, whose size it has.

    Args:
        file: The file.
        rate: Frames per second.
    """

    def __init__(self, file: Path, rate: float) -> None:
        self._file, self._rate = file, rate
        self._writer: cv2.VideoWriter | None = None
        self._size: tuple[int, int] = (0, 0)

    def write(self, image: np.ndarray) -> None:
        """Add a frame; one of another size is resized, which the writer of OpenCV would leave out.

        Raises:
            UserError: the size cannot be written as MP4.
        """
        height, width = image.shape[:2]
        if self._writer is None:
            self._size = (width, height)
            self._writer = cv2.VideoWriter(str(self._file), cv2.VideoWriter.fourcc(*'mp4v'), self._rate, self._size)
            if not self._writer.isOpened():
                raise UserError(f'a video of {width}x{height} pixels cannot be written as {self._file.name}')
        self._writer.write(image if (width, height) == self._size else cv2.resize(image, self._size))

    def close(self) -> None:
        """Finish the file."""
        if self._writer is not None:
            self._writer.release()
