"""Outlines of shapes that tools describe by a few numbers."""

from __future__ import annotations

import numpy as np


def ellipse_outline(center: np.ndarray, radius_x: float, radius_y: float) -> np.ndarray:
    """Return 36 points ``(36, 2)`` on an ellipse."""
    angles = np.linspace(0, 2 * np.pi, 36, endpoint=False)
    return np.asarray(center + np.stack([radius_x * np.cos(angles), radius_y * np.sin(angles)], axis=1))


def rotate_points(points: np.ndarray, center: np.ndarray, degrees: float) -> np.ndarray:
    """Turn points ``(N, 2)`` around a center, clockwise as an image is seen."""
    angle = np.deg2rad(degrees)
    matrix = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return np.asarray((points - center) @ matrix + center)
