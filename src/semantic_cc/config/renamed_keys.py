"""Names that older versions used, each with the present one: an old name is refused with a line that gives the new."""

from __future__ import annotations

RENAMED_KEYS = {
    "model.evidence": "model.keywords",
    "hardware.strategy": "hardware.sharding",
    "train.strategy": "phases.NAME.stages",
    **{
        f"train.{stage}_{field}": f"phases.NAME.stages.{stage}.{field}"
        for stage in ("change", "caption", "joint")
        for field in ("items", "batch")
    },
    **{
        f"train.{field}": f"phases.NAME.{field}"
        for field in (
            "epochs", "source_weights", "sentences", "dice_weight", "augment", "cache_features", "ema", "val_metric",
            "patience",
        )
    },
}  # fmt: skip
"""Dotted configuration keys, old -> new; NAME is a phase."""

RENAMED_RECIPE_KEYS = {"shares.world": "shares.procedural"}
"""Dotted keys of a recipe of `semantic-cc synth`, old -> new."""

RENAMED_PRESETS = {"guided": "keyword-head"}
"""Presets, old -> new."""
