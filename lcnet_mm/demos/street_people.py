"""The people of the street scenes, on foot, on bicycles and on motorcycles."""

from __future__ import annotations

from .street_canvas import Color, random_color, shade
from .street_scene import Scene


def add_people(scene: Scene) -> None:
    """Add people on the sidewalks, riders between the lanes, and bicycles and motorcycles parked at the kerb."""
    rng = scene.rng
    for side in (-1, 1):
        for _ in range(int(rng.integers(1, 5))):
            x = side * rng.uniform(scene.road + 0.4, scene.kerb - 0.2)
            _add_person(scene, x, rng.uniform(5, 16))
        for _ in range(int(rng.integers(0, 3))):
            kind = 'bicycle' if scene.chance(0.5) else 'motorcycle'
            _add_bike(scene, side * (scene.road + rng.uniform(0.2, 0.8)), rng.uniform(5, 14), kind, False)
    for lane in (-0.34, 0.34):
        if scene.chance(0.75):
            kind = 'bicycle' if scene.chance(0.5) else 'motorcycle'
            _add_bike(scene, lane * scene.road + rng.uniform(-0.3, 0.3), rng.uniform(5, 14), kind, True)


def _add_person(scene: Scene, x: float, z: float) -> None:
    """Add a person."""
    rng, canvas = scene.rng, scene.canvas
    tall, legs, coat = rng.uniform(1.55, 1.9), random_color(rng, 20, 120), random_color(rng)
    step = rng.uniform(0.05, 0.2)

    def paint() -> None:
        for side in (-1, 1):
            canvas.upright(x + side * step, z, 0.19, 0, 0.48 * tall, legs, 'person')
        _add_torso(scene, x, z, 0.45 * tall, tall, coat, 'person')

    scene.add(z, paint)


def _add_torso(scene: Scene, x: float, z: float, bottom: float, top: float, coat: Color, label: str) -> None:
    """Paint trunk, arms and head."""
    scene.canvas.upright(x, z, 0.62, bottom + 0.1, top - 0.3, shade(coat, 0.8), label)
    scene.canvas.upright(x, z, 0.42, bottom, top - 0.26, coat, label)
    scene.canvas.disc(x, top - 0.13, z, 0.14, (125, 155, 205), label)


def _add_bike(scene: Scene, x: float, z: float, kind: str, ridden: bool) -> None:
    """Add a bicycle or motorcycle: seen from the side if it is parked, from the rear if it is ridden."""
    rng, canvas = scene.rng, scene.canvas
    color, coat = random_color(rng), random_color(rng)

    def wheel(center: float, radius: float) -> None:
        canvas.disc(center, radius, z, radius, (22, 22, 22), kind)
        canvas.disc(center, radius, z, 0.7 * radius, (120, 120, 120) if kind == 'bicycle' else (50, 50, 50))

    def paint() -> None:
        if ridden:
            width = 0.22 if kind == 'bicycle' else 0.5
            canvas.upright(x, z, width, 0, 0.85, (30, 30, 30), kind)
            if kind == 'motorcycle':
                canvas.upright(x, z, 0.7, 0.45, 0.9, color, kind)
                canvas.upright(x, z, 0.2, 0.7, 0.82, (50, 45, 215))
            for side in (-1, 1):
                canvas.upright(x + side * 0.24, z, 0.16, 0.35, 0.95, (70, 55, 50), 'rider')
            _add_torso(scene, x, z, 0.85, 1.75, coat, 'rider')
            return
        if kind == 'bicycle':
            wheel(x - 0.52, 0.36)
            wheel(x + 0.52, 0.36)
            frame = [(x - 0.52, 0.36, z), (x + 0.52, 0.36, z), (x + 0.35, 0.85, z), (x - 0.3, 0.85, z)]
            canvas.polygon(frame, color, kind)
            canvas.upright(x - 0.3, z, 0.3, 0.88, 0.98, (25, 25, 25), kind)
            canvas.upright(x + 0.4, z, 0.08, 0.8, 1.1, (25, 25, 25), kind)
        else:
            wheel(x - 0.65, 0.32)
            wheel(x + 0.65, 0.32)
            body = [(x - 0.75, 0.75, z), (x - 0.5, 0.3, z), (x + 0.55, 0.3, z), (x + 0.45, 1.0, z), (x, 0.8, z)]
            canvas.polygon(body, color, kind)
            canvas.upright(x - 0.4, z, 0.7, 0.75, 0.88, (25, 25, 25), kind)

    scene.add(z, paint)
