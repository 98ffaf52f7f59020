"""Draw real digit scans: enlarge them, ink them and paste them on noisy backgrounds."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

_INK_ALPHA = 0.4  # a pixel belongs to a digit, and to its box, where the ink covers more than this
_DIGIT_HEIGHT = (28.0, 140.0)  # px on the nominal canvas of 320
NOMINAL_SIDE = 320
_CANVAS_JITTER = (0.75, 1.25)  # 240 to 400 px per side for the nominal 320
_MAX_DIGITS = 12
_MAX_IOU = 0.1
# A small digit inside a large one has a small IoU and is unreadable all the same, so its covered share is limited too.
_MAX_COVERED = 0.2
_MIN_CONTRAST = 55.0  # gray levels between the ink and nine tenths of the background under it


@dataclass
class DrawnImage:
    """One composed image.

    Attributes:
        image: uint8 array of shape (H, W, 3), BGR.
        boxes: One (x, y, w, h) per digit in whole pixels, tight around the visible ink.
        labels: One digit value 0 to 9 per box.
        scans: Index of the source scan per box.
        ink: int16 array of shape (H, W): which box owns the ink of a pixel, -1 where there is none.
    """

    image: np.ndarray
    boxes: list[tuple[int, int, int, int]]
    labels: list[int]
    scans: list[int]
    ink: np.ndarray


def _draw_digit(scan: np.ndarray, height: float, rng: np.random.Generator) -> np.ndarray:
    """Enlarge one scan to a smooth stroke, with a small random rotation, shear, aspect and stroke width.

    Args:
        scan: float32 array of shape (8, 8), ink 0 to 1.
        height: Height of the 8 scan rows in px before the rotation.
        rng: Source of the randomness.

    Returns:
        float32 array of shape (h, w) with the coverage 0 to 1, cropped to the pixels with any ink.
    """
    angle, shear = rng.uniform(-0.22, 0.22), rng.uniform(-0.15, 0.15)  # rad (about 12 degrees) and px per px
    aspect, low = rng.uniform(0.85, 1.2), rng.uniform(0.28, 0.42)
    scale = height / 8
    cos, sin = np.cos(angle), np.sin(angle)
    matrix = scale * np.array([[cos, -sin], [sin, cos]]) @ np.array([[aspect, shear], [0, 1]])
    # The margin of 3 scan pixels keeps the blur and the overshoot of the cubic filter inside the patch.
    source = np.pad(scan, 3)
    side = source.shape[0]
    extent = np.abs(matrix).sum(axis=1) * side
    width, rows = int(np.ceil(extent[0])), int(np.ceil(extent[1]))
    center = np.array([(width - 1) / 2, (rows - 1) / 2]) - matrix @ np.full(2, (side - 1) / 2)
    warped = cv2.warpAffine(source, np.column_stack([matrix, center]), (width, rows), flags=cv2.INTER_CUBIC)
    warped = cv2.GaussianBlur(warped, (0, 0), 0.4 * scale)
    ramp = np.clip((warped - low) / 0.22, 0, 1)
    alpha = ramp * ramp * (3 - 2 * ramp)
    ys, xs = np.nonzero(alpha > 0.02)
    result: np.ndarray = alpha[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1]
    return result


def _draw_background(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Paint a gradient, blurred noise of several grain sizes, soft blobs and thin lines.

    Returns:
        float32 array of shape (height, width, 3), about 0 to 255.
    """
    start, stop = rng.uniform(25, 230, (2, 3)).astype(np.float32)
    stop = start + (stop - start) * np.float32(rng.uniform(0.1, 0.8))
    turn = rng.uniform(0, 2 * np.pi)
    ys, xs = np.mgrid[0:height, 0:width].astype(np.float32)
    slope = xs / width * np.float32(np.cos(turn)) + ys / height * np.float32(np.sin(turn))
    slope = (slope - slope.min()) / (np.ptp(slope) + np.float32(1e-6))
    canvas = start + slope[..., None] * (stop - start)

    for grain in (8, 24, 80):  # px per noise cell
        cells = (height // grain + 2, width // grain + 2)
        noise = rng.standard_normal((*cells, 3)).astype(np.float32)
        if rng.random() < 0.5:
            noise[:] = noise[..., :1]  # gray texture, such as paper or a wall
        canvas = canvas + cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC) * np.float32(
            rng.uniform(2, 12)
        )

    side = min(height, width)
    for _ in range(rng.integers(0, 5)):
        layer = np.zeros((height, width), np.float32)
        center = (int(rng.integers(0, width)), int(rng.integers(0, height)))
        axes = tuple(int(side * share) for share in rng.uniform(0.04, 0.22, 2))
        cv2.ellipse(layer, center, axes, float(rng.uniform(0, 180)), 0, 360, 1.0, -1)
        canvas = _blend(
            canvas, cv2.GaussianBlur(layer, (0, 0), rng.uniform(1, 6)), rng.uniform(0, 255, 3), rng.uniform(0.15, 0.5)
        )
    for _ in range(rng.integers(0, 5)):
        layer = np.zeros((height, width), np.float32)
        ends = [(int(rng.integers(0, width)), int(rng.integers(0, height))) for _ in range(2)]
        cv2.line(layer, ends[0], ends[1], 1.0, int(rng.integers(1, 4)), cv2.LINE_8)
        canvas = _blend(canvas, cv2.GaussianBlur(layer, (0, 0), 0.7), rng.uniform(0, 255, 3), rng.uniform(0.2, 0.6))
    result: np.ndarray = canvas
    return result


def compose_image(
    scans: np.ndarray, labels: np.ndarray, pool: np.ndarray, image_size: tuple[int, int], rng: np.random.Generator
) -> DrawnImage:
    """Compose one image with 1 to 12 digits, as many as find room.

    Args:
        scans: float32 array of shape (N, 8, 8), ink 0 to 1.
        labels: int array of shape (N,).
        pool: Indices of the scans that may be used.
        image_size: Nominal (width, height) in px; each side varies by a quarter. The size of the digits follows the
            nominal size.
        rng: The only source of randomness, so the same generator state gives the same image.
    """
    width, height = (round(side * rng.uniform(*_CANVAS_JITTER)) for side in image_size)
    canvas = _draw_background(rng, height, width)
    ink = np.full((height, width), -1, np.int16)
    unit = min(image_size) / NOMINAL_SIDE
    # Log-uniform sizes are mostly tiny digits; the exponent below 1 moves the weight to the middle and the large ones.
    # The largest are placed first, because they find no room later.
    sizes = _DIGIT_HEIGHT[0] * (_DIGIT_HEIGHT[1] / _DIGIT_HEIGHT[0]) ** (
        rng.random(rng.integers(1, _MAX_DIGITS + 1)) ** 0.7
    )
    placed: list[tuple[int, int, int, int]] = []
    chosen: list[int] = []
    for size in np.sort(sizes)[::-1] * unit:
        scan = int(rng.choice(pool))
        alpha = _draw_digit(scans[scan], size, rng)
        box = _tight_box(alpha > _INK_ALPHA)
        for attempt in range(20):
            left = int(rng.integers(0, width - alpha.shape[1] + 1))
            top = int(rng.integers(0, height - alpha.shape[0] + 1))
            candidate = (left + box[0], top + box[1], box[2], box[3])
            if any(_too_close(candidate, other) for other in placed):
                continue
            window = np.s_[top : top + alpha.shape[0], left : left + alpha.shape[1]]
            color, contrast = _pick_ink(canvas[window], alpha > _INK_ALPHA, rng)
            # An image without any digit would be useless, so the very last try for the first one is always taken.
            if contrast < _MIN_CONTRAST and (placed or attempt < 19):
                continue
            canvas[window] = _blend(canvas[window], alpha, color, rng.uniform(0.88, 1.0))
            ink[window][alpha > _INK_ALPHA] = len(placed)
            placed.append(candidate)
            chosen.append(scan)
            break

    canvas = canvas + rng.standard_normal(canvas.shape, dtype=np.float32) * np.float32(rng.uniform(1.5, 7))
    image = np.clip(np.rint(canvas), 0, 255).astype(np.uint8)
    # Boxes are taken again from the finished image: a later digit may hide the rim of an earlier one.
    boxes = [_tight_box(ink == index) for index in range(len(placed))]
    return DrawnImage(image, boxes, [int(labels[scan]) for scan in chosen], chosen, ink)


def _pick_ink(background: np.ndarray, mask: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """Pick a random BGR color that stands out from what is under the mask; return it and its contrast."""
    gray = background[mask] @ np.array([0.114, 0.587, 0.299], np.float32)
    best, best_contrast = np.zeros(3), -1.0
    # Any color first, then light and dark ones as a last resort.
    for low, high in (*((0, 255),) * 6, (0, 40), (215, 255)):
        color = rng.uniform(low, high, 3)
        contrast = float(np.percentile(np.abs(gray - color @ [0.114, 0.587, 0.299]), 10))
        if contrast > best_contrast:
            best, best_contrast = color, contrast
        if best_contrast >= _MIN_CONTRAST:
            break
    return best, best_contrast


def _blend(canvas: np.ndarray, alpha: np.ndarray, color: np.ndarray, strength: float) -> np.ndarray:
    """Return a canvas with a color laid over it, where ``alpha`` is the coverage."""
    weight = (alpha * np.float32(strength))[..., None]
    return canvas * (1 - weight) + color.astype(np.float32) * weight


def _tight_box(mask: np.ndarray) -> tuple[int, int, int, int]:
    """Return (x, y, w, h) of the True pixels of a mask of shape (H, W)."""
    xs, ys = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    return int(xs[0]), int(ys[0]), int(xs[-1] - xs[0] + 1), int(ys[-1] - ys[0] + 1)


def _too_close(first: tuple[int, int, int, int], second: tuple[int, int, int, int]) -> bool:
    """Return whether two (x, y, w, h) overlap so much that one digit would be hard to read."""
    overlap_w = min(first[0] + first[2], second[0] + second[2]) - max(first[0], second[0])
    overlap_h = min(first[1] + first[3], second[1] + second[3]) - max(first[1], second[1])
    if overlap_w <= 0 or overlap_h <= 0:
        return False
    overlap, areas = overlap_w * overlap_h, (first[2] * first[3], second[2] * second[3])
    return overlap / (sum(areas) - overlap) > _MAX_IOU or overlap / min(areas) > _MAX_COVERED
