"""A street that is drawn: its measures, and the list of things in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from .street_canvas import Canvas

# The depths in meters between which things stand.
NEAREST, FARTHEST = 3.0, 90.0


class _Thing(NamedTuple):
    """Something to paint.

    Attributes:
        z: Its distance, by which the painting is ordered.
        paint: Paints it.
    """

    z: float
    paint: Callable[[], None]


class Scene:
    """An empty street with random measures, to which things are added.

    Args:
        size: Width and height of the image in pixels.
        rng: The only source of randomness.

    Attributes:
        canvas: What is painted on.
        road: Half the width of the road in meters.
        kerb: Distance in meters from the middle of the road to the outer edge of the sidewalk.
        things: What was added.
    """

    def __init__(self, size: tuple[int, int], rng: np.random.Generator) -> None:
        self.rng = rng
        self.canvas = Canvas(size, rng)
        self.road = rng.uniform(4.0, 6.5)
        self.kerb = self.road + rng.uniform(1.8, 3.5)
        self.things: list[_Thing] = []

    def add(self, z: float, paint: Callable[[], None]) -> None:
        """Add something to paint at a depth ``z``."""
        self.things.append(_Thing(z, paint))

    def chance(self, probability: float) -> bool:
        """Return True with a probability."""
        return bool(self.rng.random() < probability)

    def paint_things(self) -> None:
        """Paint what was added, from far to near."""
        for thing in sorted(self.things, key=lambda thing: -thing.z):
            thing.paint()
