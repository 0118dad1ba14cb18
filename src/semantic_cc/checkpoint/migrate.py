"""Migrates checkpoints of older formats: config.json step by step, and the names of tensors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from semantic_cc.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor

FORMAT = 4
"""Version of the checkpoint format, the key ``format`` of config.json."""

RENAMED_TENSORS = {
    "caption_decoder.evidence.words.": "caption_decoder.keyword_head.token_logits.",
    "caption_decoder.evidence.shape.": "caption_decoder.keyword_head.mask_logits.",
}
"""Tensor name prefixes of formats before 3, old -> new."""

RENAMED_TRAINING = {"evidence": "keyword_head", "sharpening": "mask_decoder"}
"""Keys of the section ``training`` of formats before 3, old -> new."""

Content = dict[str, Any]
"""Parsed config.json of any format."""


@dataclass(frozen=True)
class Migrated:
    """A checkpoint's config.json in the current format.

    Attributes:
        content: the parsed config.json.
        notes: one line for each step that users should know of.
    """

    content: Content
    notes: tuple[str, ...]


def migrate_config(content: Content) -> Migrated:
    """Migrates a parsed config.json of any format from 1 to `FORMAT` to the current one; does not change `content`."""
    notes = []
    while content["format"] < FORMAT:
        format_ = content["format"]
        content, note = STEPS[format_]({**content})
        content["format"] = format_ + 1
        if note:
            notes.append(f"config.json of format {format_} was read as format {format_ + 1}: {note}")
    return Migrated(content, tuple(notes))


def migrate_tensors(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Renames the tensors of a checkpoint of any format to their current names."""
    return {_present_name(name): tensor for name, tensor in tensors.items()}


def _present_name(name: str) -> str:
    for old, new in RENAMED_TENSORS.items():
        if name.startswith(old):
            return new + name.removeprefix(old)
    return name


def _from_1(content: Content) -> tuple[Content, str]:
    """Format 1 stores digests only for the LLM and has no BLIP-2, MiniGPT-4 or merged models."""
    content["merged"] = False
    encoder = (content.get("model") or {}).get("encoder") or {}
    if encoder.get("weights") is None or encoder.get("adapt") == "full":
        return content, ""
    foundation = content.get("foundation") or {}
    unknown = {"name": encoder["weights"], "accepted_digests": []}
    content["foundation"] = {**foundation, "encoder": unknown}
    return content, "it records no digest of SAM's weights, so they are not checked"


def _from_2(content: Content) -> tuple[Content, str]:
    """Format 2 calls the keyword head "evidence" and the mask decoder's fine-tuning "sharpening"."""
    model = dict(content["model"])
    if "evidence" in model:
        model["keywords"] = model.pop("evidence")
    training = content.get("training", {})
    renamed = {RENAMED_TRAINING.get(key, key): value for key, value in training.items()}
    return {**content, "model": model, "training": renamed}, ""


def _from_3(content: Content) -> tuple[Content, str]:
    """Format 3 may have a Q-Former that reads the instruction; no weights of such a model were published.

    Raises:
        ConfigError: the checkpoint has one.
    """
    qformer = dict(content["model"].get("qformer", {}))
    if qformer.pop("text", False):
        raise ConfigError(
            "qformer.text: a Q-Former that reads the instruction is no longer supported; train the model again"
        )
    return {**content, "model": {**content["model"], "qformer": qformer}}, ""


STEPS: dict[int, Callable[[Content], tuple[Content, str]]] = {1: _from_1, 2: _from_2, 3: _from_3}
"""Format -> the step to the next format, which also returns a note for users or an empty string.

A step may change its argument, but not nested dicts.
"""
