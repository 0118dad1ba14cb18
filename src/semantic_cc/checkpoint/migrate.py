"""config.json of older formats, brought to the present one step by step, with a note of what each step did."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

FORMAT = 2
"""Version of config.json."""

Content = dict[str, Any]


def migrated(content: Content) -> tuple[Content, tuple[str, ...]]:
    """`content`, of a format from 1 to `FORMAT`, in the present format; and a note for each step that was taken."""
    notes = []
    while content["format"] < FORMAT:
        format_ = content["format"]
        content, what = STEPS[format_]({**content})
        content["format"] = format_ + 1
        notes.append(f"config.json of format {format_} was read as format {format_ + 1}: {what}")
    return content, tuple(notes)


def _from_1(content: Content) -> tuple[Content, str]:
    """Format 1 knew the LLM's digests alone, no BLIP-2, no MiniGPT-4, and no merged models."""
    content["merged"] = False
    encoder = (content.get("model") or {}).get("encoder") or {}
    if encoder.get("weights") is None or encoder.get("adapt") == "full":
        return content, "nothing had to be changed"
    foundation = content.get("foundation") or {}
    unknown = {"name": encoder["weights"], "accepted_digests": []}
    content["foundation"] = {**foundation, "encoder": unknown}
    return content, "it records no digest of SAM's weights, so they are not checked"


STEPS: dict[int, Callable[[Content], tuple[Content, str]]] = {1: _from_1}
"""Format -> the step to the next one; it may change the dict that it is given, not what lies deeper."""
