"""Plane geometry of procedural pairs: boxes, paths and distances.

All coordinates are (x, y) in units of 0.5 m, in the frame [0, `SIDE`] x [0, `SIDE`], y downwards.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

SIDE = 256.0
"""Side length of the scene in units of 0.5 m."""


@dataclass(frozen=True)
class Box:
    """A `w` x `h` rectangle (in units) centred at (`x`, `y`) and rotated by `angle` radians."""

    x: float
    y: float
    w: float
    h: float
    angle: float = 0.0

    @classmethod
    def about(cls, centre: np.ndarray, size: np.ndarray, angle: float = 0.0) -> Box:
        """The box centred at `centre` (2,) with sides `size` (2,)."""
        return cls(float(centre[0]), float(centre[1]), float(size[0]), float(size[1]), float(angle))

    def grown(self, by: float) -> Box:
        """The box expanded by `by` units on each side."""
        return Box(self.x, self.y, self.w + 2 * by, self.h + 2 * by, self.angle)

    def at(self, u: float, v: float) -> tuple[float, float]:
        """The scene coordinates of the point (`u`, `v`) in the box frame, whose origin is the box centre."""
        c, s = math.cos(self.angle), math.sin(self.angle)
        return self.x + c * u - s * v, self.y + s * u + c * v

    def part(self, u: float, v: float, w: float, h: float) -> Box:
        """A box aligned with this one, centred at (`u`, `v`) in its frame."""
        x, y = self.at(u, v)
        return Box(x, y, w, h, self.angle)

    def corners(self) -> np.ndarray:
        """The four corners in order, (4, 2)."""
        a, b = self.w / 2, self.h / 2
        return np.array([self.at(-a, -b), self.at(a, -b), self.at(a, b), self.at(-a, b)])

    def local(self, points: np.ndarray) -> np.ndarray:
        """`points` (N, 2) in the box frame, (N, 2)."""
        c, s = math.cos(self.angle), math.sin(self.angle)
        d = np.asarray(points, dtype=float) - (self.x, self.y)
        return np.stack([c * d[:, 0] + s * d[:, 1], -s * d[:, 0] + c * d[:, 1]], axis=1)

    def distance(self, points: np.ndarray) -> np.ndarray:
        """Distance from each of `points` (N, 2) to the box, 0 inside, (N,)."""
        over = np.abs(self.local(points)) - (self.w / 2, self.h / 2)
        return np.hypot(*np.maximum(over, 0.0).T)

    def grid(self, n: int = 5) -> np.ndarray:
        """A regular grid of n x n points over the box, (n * n, 2)."""
        ticks = (np.arange(n) + 0.5) / n - 0.5
        u, v = np.repeat(ticks, n) * self.w, np.tile(ticks, n) * self.h
        c, s = math.cos(self.angle), math.sin(self.angle)
        return np.stack([self.x + c * u - s * v, self.y + s * u + c * v], axis=1)

    def inside_share(self) -> float:
        """Fraction of the box inside the frame, measured on a 7 x 7 grid."""
        p = self.grid(7)
        return float(((p >= 0) & (p <= SIDE)).all(axis=1).mean())


def overlap(a: Box, b: Box) -> bool:
    """Whether two boxes overlap (separating axis test)."""
    if math.hypot(a.x - b.x, a.y - b.y) >= (math.hypot(a.w, a.h) + math.hypot(b.w, b.h)) / 2:
        return False
    pa, pb = a.corners(), b.corners()
    for box in (a, b):
        for angle in (box.angle, box.angle + math.pi / 2):
            axis = np.array([math.cos(angle), math.sin(angle)])
            qa, qb = pa @ axis, pb @ axis
            if qa.max() <= qb.min() or qb.max() <= qa.min():
                return False
    return True


def resample(points: np.ndarray, step: float = 4.0) -> np.ndarray:
    """Resamples a path (N, 2) to points about `step` units apart, (M, 2)."""
    s = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])
    t = np.linspace(0.0, s[-1], max(2, int(s[-1] / step) + 1))
    return np.stack([np.interp(t, s, points[:, 0]), np.interp(t, s, points[:, 1])], axis=1)


def path_distance(path: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Distance from each of `points` (N, 2) to the nearest point of a resampled `path` (M, 2), (N,)."""
    d = points[:, None, :] - path[None, :, :]
    return np.sqrt((d * d).sum(-1).min(axis=1))


def bezier(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """A quadratic Bezier curve from `a` to `c` with control point `b`, resampled, (M, 2)."""
    t = np.linspace(0, 1, 40)[:, None]
    return resample((1 - t) ** 2 * a + 2 * t * (1 - t) * b + t**2 * c)


def in_frame(points: np.ndarray, margin: float = 0.0) -> np.ndarray:
    """Which of `points` (N, 2) lie in the frame, at least `margin` units from its edge, (N,) bool."""
    return np.asarray(((points >= margin) & (points <= SIDE - margin)).all(axis=1))


def circle(centre: np.ndarray, r: float, n: int = 28) -> np.ndarray:
    """The outline of a circle, (n, 2)."""
    t = np.linspace(0, 2 * np.pi, n, endpoint=False)
    return np.asarray(centre + r * np.stack([np.cos(t), np.sin(t)], axis=1))


def ribbon(path: np.ndarray, width: float) -> np.ndarray:
    """The outline (2M, 2) of a strip `width` units wide along `path` (M, 2)."""
    t = np.gradient(path, axis=0)
    t /= np.hypot(t[:, 0], t[:, 1])[:, None]
    out = np.stack([-t[:, 1], t[:, 0]], axis=1) * (width / 2)
    return np.concatenate([path + out, (path - out)[::-1]])
