"""Painting in perspective: an image and the label of every pixel at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

# The ids of cityscapesscripts.helpers.labels, which turns them into the 19 classes; a test compares them.
IDS = dict(
    unlabeled=0,
    ego_vehicle=1,
    static=4,
    road=7,
    sidewalk=8,
    building=11,
    wall=12,
    fence=13,
    pole=17,
    traffic_light=19,
    traffic_sign=20,
    vegetation=21,
    terrain=22,
    sky=23,
    person=24,
    rider=25,
    car=26,
    truck=27,
    bus=28,
    train=31,
    motorcycle=32,
    bicycle=33,
)
# How rough a surface looks.
ROUGHNESS = dict(
    vegetation=0.30, terrain=0.22, road=0.06, sidewalk=0.08, building=0.08, wall=0.10, fence=0.08, sky=0.02
)
CAMERA_HEIGHT = 1.6
# Images are drawn this much larger and then averaged, for smooth edges.
OVERSAMPLING = 2

Color = tuple[float, float, float]
Point = tuple[float, float, float]


class DrawnImage(NamedTuple):
    """A scene.

    Attributes:
        image: ``(H, W, 3)`` uint8, BGR.
        label_ids: ``(H, W)`` uint8, Cityscapes' label ids.
    """

    image: np.ndarray
    label_ids: np.ndarray


class Canvas:
    """An image and its labels, painted through a camera at the origin that looks along z.

    Args:
        size: Width and height in pixels.
        rng: Places the horizon and the vanishing point.
    """

    def __init__(self, size: tuple[int, int], rng: np.random.Generator) -> None:
        self.width, self.height = (OVERSAMPLING * side for side in size)
        self.image = np.zeros((self.height, self.width, 3), np.uint8)
        self.labels = np.zeros((self.height, self.width), np.uint8)
        self.focal = self.width * rng.uniform(0.6, 0.75)
        self.center = self.width * rng.uniform(0.4, 0.6)
        self.horizon = self.height * rng.uniform(0.38, 0.48)

    def project(self, points: Sequence[Point]) -> np.ndarray:
        """Return points ``(x, y, z)`` in meters as pixels ``(n, 2)``."""
        x, y, z = np.asarray(points, float).T
        z = np.maximum(z, 0.5)
        return np.stack((self.center + self.focal * x / z, self.horizon + self.focal * (CAMERA_HEIGHT - y) / z), 1)

    def fill(self, pixels: np.ndarray, color: Color, label: str | None = None) -> None:
        """Fill a polygon of pixels; without a label, the labels under it stay as they are."""
        polygon = [np.round(np.clip(pixels, -1e4, 1e4)).astype(np.int32)]
        cv2.fillPoly(self.image, polygon, color)
        if label is not None:
            cv2.fillPoly(self.labels, polygon, IDS[label])

    def polygon(self, points: Sequence[Point], color: Color, label: str | None = None) -> None:
        """Fill a polygon in the world."""
        self.fill(self.project(points), color, label)

    def upright(
        self, x: float, z: float, width: float, bottom: float, top: float, color: Color, label: str | None = None
    ) -> None:
        """Fill a rectangle that faces the camera, ``x`` its middle."""
        left, right = x - width / 2, x + width / 2
        self.polygon([(left, bottom, z), (right, bottom, z), (right, top, z), (left, top, z)], color, label)

    def disc(self, x: float, y: float, z: float, radius: float, color: Color, label: str | None = None) -> None:
        """Fill a circle that faces the camera."""
        ((u, v),) = self.project([(x, y, z)])
        pixels = max(1, round(self.focal * radius / z))
        cv2.circle(self.image, (round(u), round(v)), pixels, color, cv2.FILLED)
        if label is not None:
            cv2.circle(self.labels, (round(u), round(v)), pixels, IDS[label], cv2.FILLED)

    def box(
        self, x: float, z: float, size: tuple[float, float, float], color: Color, label: str, bottom: float = 0.0
    ) -> None:
        """Paint a box of width, height and length with its visible side; the front face is at ``z``."""
        width, height, length = size
        left, right, top, back = x - width / 2, x + width / 2, bottom + height, z + length
        if x - width / 2 > 0 or x + width / 2 < 0:
            side = left if x > 0 else right
            face = [(side, bottom, z), (side, bottom, back), (side, top, back), (side, top, z)]
            self.polygon(face, shade(color, 0.7), label)
        if top < CAMERA_HEIGHT:
            lid = [(left, top, z), (right, top, z), (right, top, back), (left, top, back)]
            self.polygon(lid, shade(color, 1.15), label)
        self.upright(x, z, width, bottom, top, color, label)

    def darken(self, points: Sequence[Point]) -> None:
        """Cast a shadow on what is painted."""
        mask = np.zeros(self.labels.shape, np.uint8)
        pixels = np.clip(self.project(points), -1e4, 1e4)
        cv2.fillPoly(mask, [np.round(pixels).astype(np.int32)], 1)
        self.image[mask > 0] = (self.image[mask > 0] * 0.62).astype(np.uint8)

    def develop(self, rng: np.random.Generator) -> DrawnImage:
        """Average to the final size, roughen the surfaces, and add light, blur and noise of the sensor."""
        labels = np.ascontiguousarray(self.labels[::OVERSAMPLING, ::OVERSAMPLING])
        height, width = labels.shape
        image = cv2.resize(self.image, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32)
        strength = np.full(256, 0.04, np.float32)
        for name, value in ROUGHNESS.items():
            strength[IDS[name]] = value
        grain = rng.standard_normal((height, width), np.float32) * 0.6
        for scale in (2, 8):
            coarse = rng.standard_normal((height // scale + 1, width // scale + 1), np.float32)
            grain += 0.7 * cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
        image *= (1 + strength[labels] * grain)[..., None]
        # Exposure, color of the light, a gradient of it, and contrast.
        light = rng.uniform(0.65, 1.2) * rng.uniform(0.92, 1.08, 3)
        gradient = np.linspace(rng.uniform(0.85, 1.1), rng.uniform(0.85, 1.1), width, dtype=np.float32)
        image *= light.astype(np.float32) * gradient[None, :, None]
        image = (255 * np.clip(image / 255, 0, 1) ** rng.uniform(0.85, 1.2)).astype(np.float32)
        if rng.random() < 0.3:
            image = cv2.GaussianBlur(image, (3, 3), 0.6).astype(np.float32)
        image += rng.standard_normal(image.shape, np.float32) * np.float32(rng.uniform(1, 5))
        return DrawnImage(np.clip(image, 0, 255).astype(np.uint8), labels)


def shade(color: Color, factor: float) -> Color:
    """Return a lighter or darker color."""
    blue, green, red = (min(255.0, channel * factor) for channel in color)
    return blue, green, red


def random_color(rng: np.random.Generator, low: float = 30, high: float = 230) -> Color:
    """Return any color."""
    blue, green, red = rng.uniform(low, high, 3)
    return blue, green, red


def random_gray(rng: np.random.Generator, low: float, high: float, tint: float = 6) -> Color:
    """Return a random gray with a slight tint."""
    blue, green, red = rng.uniform(low, high) + rng.uniform(-tint, tint, 3)
    return blue, green, red
