"""Mask guidance: while a sentence is generated, nouns that its change mask contradicts become less likely.

Without changed buildings in the mask, "a house" is wrong; with one, "houses"; with several, "a house". `KeywordBonus`
and `KeywordLogitsProcessor` apply the log-odds, as they do for the keyword head's. Importing this module does not load
torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from semantic_cc.nouns import BUILDINGS, SETTLEMENTS, plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from semantic_cc.metrics.consistency import SeenObjects

BUILDING_NOUNS = (*BUILDINGS, *(plural(noun) for noun in BUILDINGS), *SETTLEMENTS)
"""The guided nouns: singulars, plurals, and settlements, which name no number."""


def building_log_odds(seen: Sequence[SeenObjects], weight: float) -> np.ndarray:
    """Log-odds of `BUILDING_NOUNS` in b pairs' sentences: ``-weight`` for a noun that the mask contradicts, else 0.

    Numbers are compared as in `metrics.consistency`: houses joined by a narrow bridge count as one or as several.

    Args:
        seen: the buildings of b masks.
        weight: in nats, at least 0.

    Returns:
        (b, len(BUILDING_NOUNS)) float32.
    """
    return np.array([_contradicted(objects) for objects in seen], np.float32) * -np.float32(weight)


def _contradicted(seen: SeenObjects) -> list[bool]:
    least, most = seen.building_count()
    one, several, settlement = least != 1, most < 2, least == 0
    return [one] * len(BUILDINGS) + [several] * len(BUILDINGS) + [settlement] * len(SETTLEMENTS)
