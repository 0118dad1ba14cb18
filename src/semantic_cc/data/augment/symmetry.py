"""The eight symmetries of the square, acting alike on pictures and on directions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

Direction = tuple[int, int]
"""(x, y), each -1, 0 or 1; x to the right and y down, as in pictures."""


@dataclass(frozen=True)
class Symmetry:
    """Quarter turns against the clock, then a mirroring of left and right if asked for.

    Attributes:
        turns: number of quarter turns, 0 to 3.
        mirror: whether left and right are exchanged after the turns.
    """

    turns: int = 0
    mirror: bool = False

    @property
    def swaps_axes(self) -> bool:
        """Whether rows become columns, so that a rectangle changes its shape."""
        return self.turns % 2 == 1

    @property
    def inverse(self) -> Symmetry:
        """The symmetry that undoes this one; a mirroring undoes itself."""
        return self if self.mirror else Symmetry(-self.turns % 4)

    def then(self, other: Symmetry) -> Symmetry:
        """The one symmetry that does the same as this one followed by `other`."""
        turns = -other.turns if self.mirror else other.turns  # after a mirroring, turns go the other way
        return Symmetry((self.turns + turns) % 4, self.mirror != other.mirror)

    def of_array(self, array: np.ndarray) -> np.ndarray:
        """A moved copy of a picture or mask: ``(H, W, ...)`` -> ``(H, W, ...)``, or ``(W, H, ...)`` if axes swap."""
        import numpy as np  # here, since the scores of sentences know directions alone and load no library

        moved = np.rot90(array, self.turns)
        return np.array(moved[:, ::-1] if self.mirror else moved, order="C")

    def of_direction(self, direction: Direction) -> Direction:
        """Where a direction points after the move, for example up -> left under one quarter turn."""
        x, y = direction
        for _ in range(self.turns):
            x, y = y, -x
        return (-x if self.mirror else x), y


SYMMETRIES = tuple(Symmetry(turns, mirror) for mirror in (False, True) for turns in range(4))
"""All eight, the identity first."""
