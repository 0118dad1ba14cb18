"""Names that older versions used, each with the present one: an old name is refused with a line that gives the new."""

from __future__ import annotations

RENAMED_KEYS = {"model.evidence": "model.keywords"}
"""Dotted configuration keys, old -> new."""

RENAMED_RECIPE_KEYS = {"shares.world": "shares.procedural"}
"""Dotted keys of a recipe of `semantic-cc synth`, old -> new."""

RENAMED_PRESETS = {"guided": "keyword-head"}
"""Presets, old -> new."""
