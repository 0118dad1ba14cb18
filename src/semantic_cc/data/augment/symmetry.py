"""The eight symmetries of the square, for images and directions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

Direction = tuple[int, int]
"""(x, y), each -1, 0 or 1; x to the right, y down."""


@dataclass(frozen=True)
class Symmetry:
    """Counter-clockwise quarter turns, then an optional horizontal flip.

    Attributes:
        turns: number of quarter turns, 0 to 3.
        mirror: whether to flip left and right after the turns.
    """

    turns: int = 0
    mirror: bool = False

    @property
    def swaps_axes(self) -> bool:
        """Whether rows and columns are swapped."""
        return self.turns % 2 == 1

    @property
    def inverse(self) -> Symmetry:
        """The inverse symmetry."""
        return self if self.mirror else Symmetry(-self.turns % 4)

    def then(self, other: Symmetry) -> Symmetry:
        """The composition: this symmetry followed by `other`."""
        turns = -other.turns if self.mirror else other.turns  # a flip reverses the turns
        return Symmetry((self.turns + turns) % 4, self.mirror != other.mirror)

    def of_array(self, array: np.ndarray) -> np.ndarray:
        """Transformed copy of an image or mask: ``(H, W, ...)`` -> ``(H, W, ...)``, or ``(W, H, ...)`` if axes swap."""
        import numpy as np  # lazy: sentence scores use only directions

        moved = np.rot90(array, self.turns)
        return np.array(moved[:, ::-1] if self.mirror else moved, order="C")

    def of_direction(self, direction: Direction) -> Direction:
        """The transformed direction, for example up -> left under one quarter turn."""
        x, y = direction
        for _ in range(self.turns):
            x, y = y, -x
        return (-x if self.mirror else x), y


SYMMETRIES = tuple(Symmetry(turns, mirror) for mirror in (False, True) for turns in range(4))
"""All eight, the identity first."""
