"""Street scenes drawn in perspective, with a label for every pixel: a small stand-in for Cityscapes.

A scene is a list of things at places in the world (metres; x to the right, y up from the ground, z ahead), painted from
far to near into an image and a map of Cityscapes' label ids at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np

from .street_canvas import IDS, Canvas, Color, DrawnImage, grey, random_color, shade

NEAREST, FARTHEST = 3.0, 90.0


class Thing(NamedTuple):
    """Something to paint: its distance, by which the painting is ordered, and how."""

    z: float
    paint: Callable[[], None]


class Street:
    """A random street; :meth:`paint` draws it.

    Args:
        size: Width and height of the image in pixels.
        rng: All that is random comes from here.
    """

    def __init__(self, size: tuple[int, int], rng: np.random.Generator) -> None:
        self.rng = rng
        self.canvas = Canvas(size, rng)
        self.road = rng.uniform(4.0, 6.5)
        self.kerb = self.road + rng.uniform(1.8, 3.5)
        self.things: list[Thing] = []

    def paint(self) -> DrawnImage:
        """Draw the scene and the light."""
        self.paint_sky()
        self.paint_ground()
        for side in (-1, 1):
            self.add_border(side)
            self.add_furniture(side)
        self.add_traffic()
        self.add_people()
        for thing in sorted(self.things, key=lambda thing: -thing.z):
            thing.paint()
        if self.rng.random() < 0.4:
            self.paint_ego_vehicle()
        return self.canvas.develop(self.rng)

    def add(self, z: float, paint: Callable[[], None]) -> None:
        """Add something to paint at a depth ``z``."""
        self.things.append(Thing(z, paint))

    def chance(self, probability: float) -> bool:
        """Return True with a probability."""
        return bool(self.rng.random() < probability)

    def paint_sky(self) -> None:
        """Paint the sky."""
        canvas, rng = self.canvas, self.rng
        top, bottom = [(225, 160, 95), (160, 155, 150), (150, 110, 120)][rng.integers(3)], grey(rng, 200, 245, 12)
        share = np.linspace(0, 1, canvas.height)[:, None] * canvas.height / canvas.horizon
        rows = np.clip(np.array(top) * (1 - share) + np.array(bottom) * share, 0, 255)
        canvas.image[:] = rows[:, None].astype(np.uint8)
        canvas.labels[:] = IDS['sky']

    def paint_ground(self) -> None:
        """Paint the road, the sidewalks and what is beside them."""
        canvas, rng = self.canvas, self.rng
        near, far = NEAREST / 2, 1000.0

        def strip(left: float, right: float, color: Color, label: str | None) -> None:
            canvas.polygon([(left, 0, near), (right, 0, near), (right, 0, far), (left, 0, far)], color, label)

        terrain = (rng.uniform(40, 80), rng.uniform(100, 150), rng.uniform(70, 130))
        strip(-300, 300, terrain, 'terrain')
        strip(-self.kerb, self.kerb, grey(rng, 140, 185), 'sidewalk')
        tone = grey(rng, 70, 115)
        strip(-self.road - 0.2, self.road + 0.2, shade(tone, 1.5), 'sidewalk')
        strip(-self.road, self.road, tone, 'road')
        for lane in (-self.road / 3, self.road / 3) if self.chance(0.5) else (0.0,):
            for z in np.arange(NEAREST, 60, 6):
                line = [(lane - 0.08, 0, z), (lane + 0.08, 0, z), (lane + 0.08, 0, z + 3), (lane - 0.08, 0, z + 3)]
                canvas.polygon(line, (215, 215, 215))
        for x in np.arange(-self.kerb, self.kerb, 1.2):
            if abs(x) > self.road + 0.2:
                canvas.polygon([(x, 0, near), (x + 0.03, 0, near), (x + 0.03, 0, 60), (x, 0, 60)], grey(rng, 120, 130))
        if self.chance(0.5):
            # Shadows of what stands beside the road.
            side = -1 if self.chance(0.5) else 1
            reach = side * self.road * rng.uniform(-0.2, 0.7)
            z = NEAREST
            while z < 60:
                length = rng.uniform(3, 10)
                edge = side * 40
                self.canvas.darken([(edge, 0, z), (reach, 0, z), (reach, 0, z + length), (edge, 0, z + length)])
                z += length + rng.uniform(0.5, 4)

    def add_border(self, side: int) -> None:
        """Draw buildings, walls, fences and bushes along one side, from near to far."""
        rng = self.rng
        z = rng.uniform(-4, 2)
        while z < FARTHEST:
            length = rng.uniform(7, 18)
            kind = rng.choice(['building', 'wall', 'fence', 'vegetation', 'gap'], p=[0.44, 0.17, 0.17, 0.14, 0.08])
            x = side * (self.kerb + rng.uniform(0, 1.0) + (2.5 if kind == 'building' and self.chance(0.3) else 0))
            if kind == 'building':
                self.add_building(x, z, length, side)
            elif kind == 'vegetation':
                for step in np.arange(z + 1, z + length, 2.2):
                    if step > NEAREST:
                        self.add_bush(x + side * rng.uniform(0.6, 1.5), step, rng.uniform(1.0, 2.2))
            elif kind != 'gap':
                self.add_barrier(str(kind), x, z, length)
                if self.chance(0.6):
                    self.add_tree(x + side * rng.uniform(2, 4), max(z, NEAREST) + length / 2)
                else:
                    self.add_building(x + side * rng.uniform(6, 10), z, length, side)
            z += length + rng.uniform(0, 1.5)

    def add_building(self, x: float, z: float, length: float, side: int) -> None:
        """Add a building on one side."""
        rng, canvas = self.rng, self.canvas
        height, depth = rng.uniform(7, 22), rng.uniform(8, 14)
        color = (rng.uniform(60, 190), rng.uniform(75, 190), rng.uniform(90, 215))
        glass, floor = shade(color, 0.45), rng.uniform(2.6, 3.4)
        pitch, pane = rng.uniform(1.8, 3.0), rng.uniform(0.9, 1.4)
        near, far = max(z, 0.7), z + length

        def paint() -> None:
            # The face towards the camera, then the one along the street.
            if z > 0.7:
                canvas.upright(x + side * depth / 2, near, depth, 0, height, shade(color, 0.75), 'building')
            wall = [(x, 0, near), (x, 0, far), (x, height, far), (x, height, near)]
            canvas.polygon(wall, color, 'building')
            for y in np.arange(1.0, height - 1.5, floor):
                for w in np.arange(near + 0.4, far - pane, pitch):
                    if w < 45:
                        canvas.polygon([(x, y, w), (x, y, w + pane), (x, y + 1.5, w + pane), (x, y + 1.5, w)], glass)

        self.add(far, paint)

    def add_barrier(self, kind: str, x: float, z: float, length: float) -> None:
        """Draw a wall of stone or a fence of bars."""
        rng, canvas = self.rng, self.canvas
        near, far = max(z, 0.7), z + length
        if kind == 'wall':
            height, color, step = rng.uniform(1.8, 3.2), grey(rng, 120, 165, 14), 2.4
            line = shade(color, 0.75)
        else:
            height, color, step = rng.uniform(1.3, 2.2), (60.0, rng.uniform(80, 100), rng.uniform(95, 130)), 0.7
            line = shade(color, 2.0)

        def paint() -> None:
            canvas.polygon([(x, 0, near), (x, 0, far), (x, height, far), (x, height, near)], color, kind)
            for w in np.arange(near, far, step):
                if w < 40:
                    bar = [(x, 0, w), (x, 0, w + 0.12), (x, height, w + 0.12), (x, height, w)]
                    canvas.polygon(bar, line)
            top = [(x, height - 0.15, near), (x, height - 0.15, far), (x, height, far), (x, height, near)]
            canvas.polygon(top, shade(line, 0.9))

        self.add(far, paint)

    def add_bush(self, x: float, z: float, radius: float, y: float = 0.4) -> None:
        """Draw a heap of leaves; also the crown of a tree."""
        rng, canvas = self.rng, self.canvas
        color = (rng.uniform(25, 60), rng.uniform(75, 135), rng.uniform(35, 90))
        leaves = [
            (*rng.normal(0, 0.55 * radius, 2), rng.uniform(0.35, 0.65) * radius, rng.uniform(0.65, 1.35))
            for _ in range(14)
        ]

        def paint() -> None:
            for dx, dy, r, light in leaves:
                canvas.disc(x + dx, max(0.2, y + dy), z, r, shade(color, light), 'vegetation')

        self.add(z, paint)

    def add_tree(self, x: float, z: float) -> None:
        """Add a tree."""
        rng, canvas = self.rng, self.canvas
        height = rng.uniform(3.5, 6.0)
        # A trunk belongs to the vegetation, as in Cityscapes.
        self.add(z + 0.01, lambda: canvas.upright(x, z, 0.35, 0, height, (45, 60, 80), 'vegetation'))
        self.add_bush(x, z, rng.uniform(1.4, 2.4), height)

    def add_furniture(self, side: int) -> None:
        """Trees, poles, lights and signs along the kerb."""
        rng = self.rng
        z = rng.uniform(5, 9)
        while z < 30:
            x = side * (self.road + rng.uniform(0.5, 1.2))
            kind = rng.choice(['tree', 'light', 'sign', 'lamp'], p=[0.15, 0.32, 0.33, 0.2])
            if kind == 'tree':
                self.add_tree(x, z)
            else:
                self.add_pole(x, z, str(kind))
            z += rng.uniform(4, 9)

    def add_pole(self, x: float, z: float, kind: str) -> None:
        """Add a pole with a sign, a light or nothing."""
        rng, canvas = self.rng, self.canvas
        color, width = grey(rng, 90, 150), rng.uniform(0.24, 0.34)
        height = rng.uniform(5, 7) if kind == 'lamp' else rng.uniform(2.6, 4.0)
        lit, face = int(rng.integers(3)), int(rng.integers(4))
        paper = [(40, 40, 200), (200, 110, 40), (50, 200, 225), (215, 215, 215)][face]

        def paint() -> None:
            canvas.upright(x, z, width, 0, height, color, 'pole')
            if kind == 'lamp':
                arm = -1.5 if x > 0 else 1.5
                canvas.upright(x + arm / 2, z, abs(arm), height - 0.2, height, color, 'pole')
            elif kind == 'light':
                canvas.upright(x, z, 0.65, height - 1.5, height, (28, 32, 30), 'traffic_light')
                for index, lamp in enumerate([(60, 60, 235), (60, 190, 240), (110, 220, 90)]):
                    glow = lamp if index == lit else shade(lamp, 0.3)
                    canvas.disc(x, height - 0.3 - 0.45 * index, z, 0.18, glow)
            elif face == 0:
                canvas.disc(x, height, z, 0.55, paper, 'traffic_sign')
                canvas.disc(x, height, z, 0.35, (225, 225, 225))
            elif face == 3:
                corners = [(x - 0.6, height - 0.5, z), (x + 0.6, height - 0.5, z), (x, height + 0.55, z)]
                canvas.polygon(corners, (40, 40, 200), 'traffic_sign')
                inner = [(x - 0.35, height - 0.37, z), (x + 0.35, height - 0.37, z), (x, height + 0.25, z)]
                canvas.polygon(inner, paper)
            else:
                canvas.upright(x, z, 1.0, height - 0.5, height + 0.5, paper, 'traffic_sign')
                canvas.upright(x, z, 0.5, height - 0.25, height + 0.25, shade(paper, 0.4))

        self.add(z, paint)

    def add_traffic(self) -> None:
        """Vehicles in lanes, none inside another."""
        rng = self.rng
        painters = dict(car=self.add_car, truck=self.add_truck, bus=self.add_bus, train=self.add_train)
        lanes = [-self.road * 0.68, 0.0, self.road * 0.68]
        for lane in lanes:
            z = rng.uniform(7, 14)
            while z < 50:
                kind = str(rng.choice(['car', 'truck', 'bus', 'train', 'none'], p=[0.36, 0.16, 0.16, 0.14, 0.18]))
                length = 3.0
                if kind != 'none':
                    length = painters[kind](lane + rng.uniform(-0.2, 0.2), z)
                z += length + rng.uniform(3, 10)

    def add_wheels(self, x: float, z: float, width: float, radius: float, label: str) -> None:
        """Draw two wheels."""
        for side in (-1, 1):
            self.canvas.upright(x + side * 0.36 * width, z, 0.16 * width, 0, radius, (25, 25, 25), label)

    def add_car(self, x: float, z: float) -> float:
        """Add a car and return its length."""
        rng, canvas = self.rng, self.canvas
        color, width = random_color(rng), rng.uniform(1.7, 1.95)

        def paint() -> None:
            canvas.box(x, z + 0.6, (0.86 * width, 1.45, 2.4), shade(color, 0.9), 'car')
            canvas.box(x, z, (width, 0.65, 4.2), color, 'car', bottom=0.28)
            canvas.upright(x, z + 0.6, 0.7 * width, 1.0, 1.36, (60, 52, 45))
            for side in (-1, 1):
                canvas.upright(x + side * 0.41 * width, z, 0.3, 0.62, 0.8, (50, 45, 215))
            canvas.upright(x, z, 0.5, 0.45, 0.58, (225, 225, 225))
            self.add_wheels(x, z, width, 0.32, 'car')

        self.add(z, paint)
        return 4.2

    def add_truck(self, x: float, z: float) -> float:
        """Add a truck and return its length."""
        rng, canvas = self.rng, self.canvas
        cargo, length = random_color(rng, 90, 235), rng.uniform(6, 8)

        def paint() -> None:
            canvas.box(x, z, (2.5, 2.6, length), cargo, 'truck', bottom=0.9)
            canvas.upright(x, z, 0.06, 0.95, 3.45, shade(cargo, 0.55))
            canvas.upright(x, z, 2.4, 0.55, 0.9, (45, 45, 50), 'truck')
            self.add_wheels(x, z, 2.4, 0.75, 'truck')

        self.add(z, paint)
        return length

    def add_bus(self, x: float, z: float) -> float:
        """Add a bus and return its length."""
        rng, canvas = self.rng, self.canvas
        color = [(45, 60, 200), (40, 190, 235), (190, 120, 50)][rng.integers(3)]

        def paint() -> None:
            canvas.box(x, z, (2.5, 2.8, 10.0), color, 'bus', bottom=0.35)
            canvas.upright(x, z, 2.2, 1.75, 2.85, (70, 58, 48))
            edge = x - 1.25 if x > 0 else x + 1.25
            if abs(x) > 1.25:
                pane = [(edge, 1.6, z + 0.5), (edge, 1.6, z + 9.5), (edge, 2.5, z + 9.5), (edge, 2.5, z + 0.5)]
                canvas.polygon(pane, (60, 50, 42))
            self.add_wheels(x, z, 2.5, 0.45, 'bus')

        self.add(z, paint)
        return 10.0

    def add_train(self, x: float, z: float) -> float:
        """Draw a tram: white above a stripe, a round headlight in the middle, no wheels."""
        rng, canvas = self.rng, self.canvas
        stripe = [(60, 150, 60), (150, 60, 120)][rng.integers(2)]

        def paint() -> None:
            canvas.box(x, z, (2.7, 3.3, 16.0), (222, 226, 228), 'train', bottom=0.1)
            canvas.upright(x, z, 2.7, 0.1, 1.2, stripe)
            canvas.upright(x, z, 2.3, 1.9, 2.9, (52, 46, 44))
            canvas.disc(x, 1.5, z, 0.22, (190, 245, 250))
            for rail in (-0.7, 0.7):
                track = [(x + rail - 0.05, 0, NEAREST), (x + rail + 0.05, 0, NEAREST), (x + rail, 0, z)]
                canvas.polygon(track, (75, 75, 85))

        self.add(z, paint)
        return 16.0

    def add_people(self) -> None:
        """People on the sidewalks, riders between the lanes, and bicycles and motorcycles that wait at the kerb."""
        rng = self.rng
        for side in (-1, 1):
            for _ in range(int(rng.integers(1, 5))):
                x = side * rng.uniform(self.road + 0.4, self.kerb - 0.2)
                self.add_person(x, rng.uniform(5, 16))
            for _ in range(int(rng.integers(0, 3))):
                kind = 'bicycle' if self.chance(0.5) else 'motorcycle'
                self.add_bike(side * (self.road + rng.uniform(0.2, 0.8)), rng.uniform(5, 14), kind, False)
        for lane in (-0.34, 0.34):
            if self.chance(0.75):
                kind = 'bicycle' if self.chance(0.5) else 'motorcycle'
                self.add_bike(lane * self.road + rng.uniform(-0.3, 0.3), rng.uniform(5, 14), kind, True)

    def add_person(self, x: float, z: float) -> None:
        """Add a person."""
        rng, canvas = self.rng, self.canvas
        tall, legs, coat = rng.uniform(1.55, 1.9), random_color(rng, 20, 120), random_color(rng)
        step = rng.uniform(0.05, 0.2)

        def paint() -> None:
            for side in (-1, 1):
                canvas.upright(x + side * step, z, 0.19, 0, 0.48 * tall, legs, 'person')
            self.add_torso(x, z, 0.45 * tall, tall, coat, 'person')

        self.add(z, paint)

    def add_torso(self, x: float, z: float, bottom: float, top: float, coat: Color, label: str) -> None:
        """Trunk, arms and head."""
        self.canvas.upright(x, z, 0.62, bottom + 0.1, top - 0.3, shade(coat, 0.8), label)
        self.canvas.upright(x, z, 0.42, bottom, top - 0.26, coat, label)
        self.canvas.disc(x, top - 0.13, z, 0.14, (125, 155, 205), label)

    def add_bike(self, x: float, z: float, kind: str, ridden: bool) -> None:
        """Draw a bicycle or motorcycle: from the side if it is parked, from the rear if it is ridden."""
        rng, canvas = self.rng, self.canvas
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
                self.add_torso(x, z, 0.85, 1.75, coat, 'rider')
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

        self.add(z, paint)

    def paint_ego_vehicle(self) -> None:
        """Draw the hood of the camera car, which Cityscapes does not evaluate."""
        canvas, rng = self.canvas, self.rng
        axes = (round(canvas.width * rng.uniform(0.45, 0.6)), round(canvas.height * rng.uniform(0.05, 0.1)))
        place = (canvas.width // 2, canvas.height)
        cv2.ellipse(canvas.image, place, axes, 0, 0, 360, grey(rng, 20, 60), cv2.FILLED)
        cv2.ellipse(canvas.labels, place, axes, 0, 0, 360, IDS['ego_vehicle'], cv2.FILLED)


def compose_street(size: tuple[int, int], rng: np.random.Generator) -> DrawnImage:
    """Draw a scene.

    Args:
        size: Width and height in pixels.
        rng: All that is random comes from here.
    """
    return Street(size, rng).paint()
