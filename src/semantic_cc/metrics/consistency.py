"""Consistency of sentence and mask: whether both describe the same change.

The score needs no ground truth and does not measure correctness. On a dataset's own sentences and masks it measures
the consistency of the annotations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from semantic_cc.data.caption_parser import BUILDING, ROAD, ChangedObject, parse_caption
from semantic_cc.metrics.objects import find_objects
from semantic_cc.sentences import says_change
from semantic_cc.types import BUILDING as BUILDING_VALUE
from semantic_cc.types import ROAD as ROAD_VALUE

if TYPE_CHECKING:
    import numpy as np

    from semantic_cc.data.augment.symmetry import Direction

SPECK = 1 / 4096
"""Minimum area of an object, as a fraction of the image: 16 pixels of 256 x 256."""
SHARE = 0.1
"""Minimum fraction of a thing's pixels in the half or quarter of the image that the sentence names."""
BRIDGE = 17
"""Width in pixels below which a bridge between two houses in a mask may be an artefact."""
MIDDLE = 0.2
"""Distance of the middle from each edge, as a fraction of the sides: the middle is 60 % of each side."""
KINDS = ("change", "count", "place")


@dataclass(frozen=True)
class Check:
    """One statement of a sentence, compared with the mask.

    Attributes:
        kind: "change" (whether something changed), "count" or "place" (location in the image).
        agrees: whether the mask confirms the statement.
        said, seen: what the sentence states and what the mask shows, in words.
    """

    kind: str
    agrees: bool
    said: str
    seen: str


def check_sentence(sentence: str, mask: np.ndarray, roads: bool = True) -> list[Check]:
    """Compares the statements of a sentence about buildings and roads with a mask; empty if none can be checked.

    - A sentence without change agrees with a mask without objects; one with changed buildings or roads, with a mask
      that contains them. Things without a mask class (trees, pools, parking lots) and changes without a named thing are
      not checked.
    - A count of buildings, over all of the sentence's objects, agrees with the same number of objects in the mask: two
      for "two", at least two for "some", "many" and a plural. Houses joined by a bridge narrower than `BRIDGE` pixels
      count as several or as one, whichever agrees.
    - A location agrees if a tenth of the thing's pixels are in that half, quarter or middle of the image.

    Args:
        sentence: one sentence.
        mask: ``(H, W)`` uint8 of `LABEL_VALUES`.
        roads: whether the mask contains changed roads; otherwise roads are not checked.
    """
    return SeenObjects(mask, roads).check(sentence)


class SeenObjects:
    """The objects of a mask, for checking several sentences.

    Args:
        mask, roads: as in `check_sentence`.
    """

    def __init__(self, mask: np.ndarray, roads: bool = True) -> None:
        self._things = _things(mask, roads)
        self._most: int | None = None

    def check(self, sentence: str) -> list[Check]:
        """As `check_sentence`."""
        things = self._things
        if not says_change(sentence):
            seen = {name: count for name, (_, count) in things.items() if count}
            return [Check("change", not seen, "no change", _list(seen))]
        objects = [item for item in parse_caption(sentence) if item.kind in things]
        checks = []
        for item in objects:
            where, count = things[str(item.kind)]
            seen = {str(item.kind): count} if count else {}
            checks.append(Check("change", count > 0, item.words, _list(seen)))
            if count:
                checks += [_place(item, place, where) for place in item.places]
        buildings = [item for item in objects if item.kind == BUILDING]
        if buildings and things[BUILDING][1]:
            checks += _count(buildings, *self.building_count())
        return checks

    def building_count(self) -> tuple[int, int]:
        """Number of buildings as the mask shows them, and after narrow bridges between them are cut."""
        where, count = self._things[BUILDING]
        if self._most is None:
            self._most = max(count, _pieces(where)) if count else 0
        return count, self._most


@dataclass(frozen=True)
class Disagreement:
    """A check in which the mask contradicts the sentence.

    Attributes:
        name, sentence: name and sentence of the pair.
        kind, said, seen: as in `Check`.
    """

    name: str
    sentence: str
    kind: str
    said: str
    seen: str


@dataclass(frozen=True)
class KindCount:
    """Number of checks of one kind (``checked``), and how many of them agree (``agree``)."""

    checked: int = 0
    agree: int = 0


@dataclass(frozen=True)
class Consistency:
    """Consistency of sentences and masks.

    Attributes:
        score: fraction of checked pairs in which all checks agree, in percent; 0 without checked pairs.
        pairs: number of pairs of a sentence and a mask.
        unchecked: number of pairs without a statement that a mask can confirm.
        by_kind: kind of check -> counts.
        cases: the checks that do not agree.
    """

    score: float
    pairs: int
    unchecked: int
    by_kind: Mapping[str, KindCount]
    cases: tuple[Disagreement, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values by field."""
        return asdict(self)


class ConsistencyMetric:
    """Accumulates pairs of a sentence and a mask."""

    def __init__(self) -> None:
        self._pairs = self._unchecked = self._agree = 0
        self._by_kind = dict.fromkeys(KINDS, KindCount())
        self._cases: list[Disagreement] = []

    def update(self, name: str, sentence: str, mask: np.ndarray, roads: bool = True) -> None:
        """Adds one pair; arguments as in `check_sentence`."""
        checks = check_sentence(sentence, mask, roads)
        self._pairs += 1
        self._unchecked += not checks
        self._agree += bool(checks) and all(check.agrees for check in checks)
        for check in checks:
            known = self._by_kind[check.kind]
            self._by_kind[check.kind] = KindCount(known.checked + 1, known.agree + check.agrees)
            if not check.agrees:
                self._cases.append(Disagreement(name, sentence, check.kind, check.said, check.seen))

    def compute(self) -> Consistency:
        """The score of all pairs so far."""
        checked = self._pairs - self._unchecked
        score = 100 * self._agree / checked if checked else 0.0
        return Consistency(score, self._pairs, self._unchecked, dict(self._by_kind), tuple(self._cases))


def _things(mask: np.ndarray, roads: bool) -> dict[str, tuple[np.ndarray, int]]:
    """Thing -> its changed pixels, ``(H, W)`` bool without small components, and the number of its objects."""
    import numpy as np

    things = {}
    for name, value in ((BUILDING, BUILDING_VALUE), (ROAD, ROAD_VALUE)):
        if name == BUILDING or roads:
            objects, count = find_objects(mask == value)
            large = np.bincount(objects.ravel(), minlength=count + 1) >= SPECK * mask.size
            large[0] = False
            things[name] = (large[objects], int(large.sum()))
    return things


def _list(counts: dict[str, int]) -> str:
    return (
        ", ".join(f"{count} {name}{'s' if count > 1 else ''}" for name, count in counts.items()) or "nothing"
    )


def _pieces(where: np.ndarray) -> int:
    """Maximum number of objects after removal of narrow bridges: by 1 to `BRIDGE` // 2 erosions with a cross.

    A pixel remains after n erosions if its taxicab distance to the nearest pixel outside is more than n.

    Args:
        where: ``(H, W)`` bool with at least one object; everything beyond its edges is outside.
    """
    import numpy as np
    from scipy import ndimage

    (box,) = ndimage.find_objects(where.astype(np.uint8))
    depth = ndimage.distance_transform_cdt(np.pad(where[box], 1), "taxicab")
    erosions = range(1, min(BRIDGE // 2, int(depth.max()) - 1) + 1)
    return max((find_objects(depth > n)[1] for n in erosions), default=0)


def _count(objects: Sequence[ChangedObject], seen: int, pieces: int) -> list[Check]:
    """Checks of the building count. For "a new house replaces an old one", one or two objects agree.

    Args:
        seen, pieces: number of objects, and its maximum after removal of narrow bridges.
    """
    least = max(item.least for item in objects)
    most = sum(item.most for item in objects if item.most is not None)
    exact = all(item.most is not None for item in objects)
    if least == 1 and not exact:
        return []  # "a residential area" gives no number
    agrees = pieces >= least and (not exact or seen <= most)
    return [Check("count", agrees, ", ".join(item.words for item in objects), _list({BUILDING: seen}))]


def _place(item: ChangedObject, place: Direction, where: np.ndarray) -> Check:
    import numpy as np

    height, width = where.shape
    y, x = np.nonzero(where)
    across, down = (x + 0.5) / width, (y + 0.5) / height
    if place == (0, 0):
        inside = (np.abs(across - 0.5) < 0.5 - MIDDLE) & (np.abs(down - 0.5) < 0.5 - MIDDLE)
    else:
        inside = ((across - 0.5) * place[0] >= 0) & ((down - 0.5) * place[1] >= 0)
    said = " ".join(word for word in (_DOWN[place[1]], _ACROSS[place[0]]) if word) or "middle"
    return Check(
        "place", bool(inside.mean() >= SHARE), f"{item.words}: {said}", f"{inside.mean():.0%} of it there"
    )


_ACROSS = {-1: "left", 0: "", 1: "right"}
_DOWN = {-1: "top", 0: "", 1: "bottom"}
