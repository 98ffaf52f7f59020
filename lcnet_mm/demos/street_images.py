"""Street scenes drawn in perspective, with a label for every pixel: a small stand-in for Cityscapes.

A scene is a list of things at places in the world (meters; x to the right, y up from the ground, z ahead). They are
painted from far to near, into an image and a map of Cityscapes' label ids at once.
"""

from __future__ import annotations

import cv2
import numpy as np

from .street_canvas import IDS, Color, DrawnImage, random_gray, shade
from .street_people import add_people
from .street_scene import FARTHEST, NEAREST, Scene
from .street_vehicles import add_traffic


class _Street(Scene):
    """A random street; :meth:`paint` draws it.

    Args:
        size: Width and height of the image in pixels.
        rng: The only source of randomness.
    """

    def paint(self) -> DrawnImage:
        """Draw the scene and return it as an image."""
        self.paint_sky()
        self.paint_ground()
        for side in (-1, 1):
            self.add_border(side)
            self.add_furniture(side)
        add_traffic(self)
        add_people(self)
        self.paint_things()
        if self.rng.random() < 0.4:
            self.paint_ego_vehicle()
        return self.canvas.develop(self.rng)

    def paint_sky(self) -> None:
        """Paint the sky."""
        canvas, rng = self.canvas, self.rng
        top, bottom = (
            [(225, 160, 95), (160, 155, 150), (150, 110, 120)][rng.integers(3)],
            random_gray(rng, 200, 245, 12),
        )
        share = np.linspace(0, 1, canvas.height)[:, None] * canvas.height / canvas.horizon
        rows = np.clip(np.array(top) * (1 - share) + np.array(bottom) * share, 0, 255)
        canvas.image[:] = rows[:, None].astype(np.uint8)
        canvas.labels[:] = IDS['sky']

    def paint_ground(self) -> None:
        """Paint the road, the sidewalks and the ground next to them."""
        canvas, rng = self.canvas, self.rng
        near, far = NEAREST / 2, 1000.0

        def strip(left: float, right: float, color: Color, label: str | None) -> None:
            canvas.polygon([(left, 0, near), (right, 0, near), (right, 0, far), (left, 0, far)], color, label)

        terrain = (rng.uniform(40, 80), rng.uniform(100, 150), rng.uniform(70, 130))
        strip(-300, 300, terrain, 'terrain')
        strip(-self.kerb, self.kerb, random_gray(rng, 140, 185), 'sidewalk')
        tone = random_gray(rng, 70, 115)
        strip(-self.road - 0.2, self.road + 0.2, shade(tone, 1.5), 'sidewalk')
        strip(-self.road, self.road, tone, 'road')
        for lane in (-self.road / 3, self.road / 3) if self.chance(0.5) else (0.0,):
            for z in np.arange(NEAREST, 60, 6):
                line = [(lane - 0.08, 0, z), (lane + 0.08, 0, z), (lane + 0.08, 0, z + 3), (lane - 0.08, 0, z + 3)]
                canvas.polygon(line, (215, 215, 215))
        for x in np.arange(-self.kerb, self.kerb, 1.2):
            if abs(x) > self.road + 0.2:
                canvas.polygon(
                    [(x, 0, near), (x + 0.03, 0, near), (x + 0.03, 0, 60), (x, 0, 60)], random_gray(rng, 120, 130)
                )
        if self.chance(0.5):
            # Shadows as of trees and buildings along the road.
            side = -1 if self.chance(0.5) else 1
            reach = side * self.road * rng.uniform(-0.2, 0.7)
            z = NEAREST
            while z < 60:
                length = rng.uniform(3, 10)
                edge = side * 40
                self.canvas.darken([(edge, 0, z), (reach, 0, z), (reach, 0, z + length), (edge, 0, z + length)])
                z += length + rng.uniform(0.5, 4)

    def add_border(self, side: int) -> None:
        """Add buildings, walls, fences and bushes along one side, from near to far."""
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
        """Add a wall of stone or a fence of bars."""
        rng, canvas = self.rng, self.canvas
        near, far = max(z, 0.7), z + length
        if kind == 'wall':
            height, color, step = rng.uniform(1.8, 3.2), random_gray(rng, 120, 165, 14), 2.4
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
        """Add a heap of leaves, a bush or the crown of a tree."""
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
        """Add trees, poles, lights and signs along the kerb."""
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
        color, width = random_gray(rng, 90, 150), rng.uniform(0.24, 0.34)
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

    def paint_ego_vehicle(self) -> None:
        """Draw the hood of the camera car, which Cityscapes does not evaluate."""
        canvas, rng = self.canvas, self.rng
        axes = (round(canvas.width * rng.uniform(0.45, 0.6)), round(canvas.height * rng.uniform(0.05, 0.1)))
        place = (canvas.width // 2, canvas.height)
        cv2.ellipse(canvas.image, place, axes, 0, 0, 360, random_gray(rng, 20, 60), cv2.FILLED)
        cv2.ellipse(canvas.labels, place, axes, 0, 0, 360, IDS['ego_vehicle'], cv2.FILLED)


def compose_street(size: tuple[int, int], rng: np.random.Generator) -> DrawnImage:
    """Draw a scene.

    Args:
        size: Width and height in pixels.
        rng: The only source of randomness.
    """
    return _Street(size, rng).paint()
