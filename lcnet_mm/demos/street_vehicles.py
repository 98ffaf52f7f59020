"""The vehicles of the street scenes: cars, trucks, buses and trams."""

from __future__ import annotations

from .street_canvas import random_color, shade
from .street_scene import NEAREST, Scene


def add_traffic(scene: Scene) -> None:
    """Add vehicles in lanes, none inside another."""
    rng = scene.rng
    painters = dict(car=_add_car, truck=_add_truck, bus=_add_bus, train=_add_train)
    lanes = [-scene.road * 0.68, 0.0, scene.road * 0.68]
    for lane in lanes:
        z = rng.uniform(7, 14)
        while z < 50:
            kind = str(rng.choice(['car', 'truck', 'bus', 'train', 'none'], p=[0.36, 0.16, 0.16, 0.14, 0.18]))
            length = 3.0
            if kind != 'none':
                length = painters[kind](scene, lane + rng.uniform(-0.2, 0.2), z)
            z += length + rng.uniform(3, 10)


def _add_wheels(scene: Scene, x: float, z: float, width: float, radius: float, label: str) -> None:
    """Paint two wheels."""
    for side in (-1, 1):
        scene.canvas.upright(x + side * 0.36 * width, z, 0.16 * width, 0, radius, (25, 25, 25), label)


def _add_car(scene: Scene, x: float, z: float) -> float:
    """Add a car and return its length."""
    rng, canvas = scene.rng, scene.canvas
    color, width = random_color(rng), rng.uniform(1.7, 1.95)

    def paint() -> None:
        canvas.box(x, z + 0.6, (0.86 * width, 1.45, 2.4), shade(color, 0.9), 'car')
        canvas.box(x, z, (width, 0.65, 4.2), color, 'car', bottom=0.28)
        canvas.upright(x, z + 0.6, 0.7 * width, 1.0, 1.36, (60, 52, 45))
        for side in (-1, 1):
            canvas.upright(x + side * 0.41 * width, z, 0.3, 0.62, 0.8, (50, 45, 215))
        canvas.upright(x, z, 0.5, 0.45, 0.58, (225, 225, 225))
        _add_wheels(scene, x, z, width, 0.32, 'car')

    scene.add(z, paint)
    return 4.2


def _add_truck(scene: Scene, x: float, z: float) -> float:
    """Add a truck and return its length."""
    rng, canvas = scene.rng, scene.canvas
    cargo, length = random_color(rng, 90, 235), rng.uniform(6, 8)

    def paint() -> None:
        canvas.box(x, z, (2.5, 2.6, length), cargo, 'truck', bottom=0.9)
        canvas.upright(x, z, 0.06, 0.95, 3.45, shade(cargo, 0.55))
        canvas.upright(x, z, 2.4, 0.55, 0.9, (45, 45, 50), 'truck')
        _add_wheels(scene, x, z, 2.4, 0.75, 'truck')

    scene.add(z, paint)
    return length


def _add_bus(scene: Scene, x: float, z: float) -> float:
    """Add a bus and return its length."""
    rng, canvas = scene.rng, scene.canvas
    color = [(45, 60, 200), (40, 190, 235), (190, 120, 50)][rng.integers(3)]

    def paint() -> None:
        canvas.box(x, z, (2.5, 2.8, 10.0), color, 'bus', bottom=0.35)
        canvas.upright(x, z, 2.2, 1.75, 2.85, (70, 58, 48))
        edge = x - 1.25 if x > 0 else x + 1.25
        if abs(x) > 1.25:
            pane = [(edge, 1.6, z + 0.5), (edge, 1.6, z + 9.5), (edge, 2.5, z + 9.5), (edge, 2.5, z + 0.5)]
            canvas.polygon(pane, (60, 50, 42))
        _add_wheels(scene, x, z, 2.5, 0.45, 'bus')

    scene.add(z, paint)
    return 10.0


def _add_train(scene: Scene, x: float, z: float) -> float:
    """Add a tram and return its length: white above a stripe, a round headlight in the middle, no wheels."""
    rng, canvas = scene.rng, scene.canvas
    stripe = [(60, 150, 60), (150, 60, 120)][rng.integers(2)]

    def paint() -> None:
        canvas.box(x, z, (2.7, 3.3, 16.0), (222, 226, 228), 'train', bottom=0.1)
        canvas.upright(x, z, 2.7, 0.1, 1.2, stripe)
        canvas.upright(x, z, 2.3, 1.9, 2.9, (52, 46, 44))
        canvas.disc(x, 1.5, z, 0.22, (190, 245, 250))
        for rail in (-0.7, 0.7):
            track = [(x + rail - 0.05, 0, NEAREST), (x + rail + 0.05, 0, NEAREST), (x + rail, 0, z)]
            canvas.polygon(track, (75, 75, 85))

    scene.add(z, paint)
    return 16.0
