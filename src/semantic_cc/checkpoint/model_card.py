"""The model card: the README.md of a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping

from semantic_cc.checkpoint.config_file import CheckpointConfig, FoundationRecord
from semantic_cc.config.model import CHANGE_METHODS
from semantic_cc.foundation.catalogue import FOUNDATIONS

PARTS = {
    "encoder": "image encoder",
    "qformer": "Q-Former, queries and ln_vision",
    "llm": "language model",
}


def model_card(content: CheckpointConfig, parameters: int) -> str:
    """The text of a model card.

    Args:
        content: the checkpoint's config.json.
        parameters: number of weights in the checkpoint.
    """
    return f"""---
{_front_matter(content)}
---
# Semantic-CC {content.name}

{_summary(content.model.method)}
{_contents(content, parameters)}

## Training

{_list(content.training) or "- not recorded"}

## Licence

The terms of the training data and of the foundation weights apply to these weights; the code is Apache-2.0.

## Foundation weights

{_foundation(content.foundation)}

## Use

```python
from semantic_cc import SemanticCC

print(SemanticCC.from_pretrained("{content.name}").describe("before.png", "after.png").sentence)
```
"""


def _summary(method: str) -> str:
    if method == "semantic-cc":
        return "Two images of one place in; a sentence that says what changed and a mask of where out."
    out = "a mask of what changed" if method in CHANGE_METHODS else "a sentence that says what changed"
    return f"Two images of one place in; {out} out. This is {method}, a method that Semantic-CC is compared with."


def _front_matter(content: CheckpointConfig) -> str:
    known = [FOUNDATIONS.get(record.name) for record in content.foundation.values()]
    lines = [
        "license: other",
        "library_name: semantic-cc",
        "tags: [remote-sensing, change-captioning, change-detection]",
    ]
    hubs = [model.hub for model in known if model and model.hub]
    return "\n".join([*lines, *(["base_model:", *(f"- {hub}" for hub in hubs)] if hubs else [])])


def _contents(content: CheckpointConfig, parameters: int) -> str:
    if content.merged:
        return f"{parameters:,} weights, adapters merged, language model included: nothing else is needed."
    if not content.foundation:
        return f"{parameters:,} weights: nothing else is needed."
    names = ", ".join(record.name for record in content.foundation.values())
    return f"{parameters:,} weights of its own; the foundation weights ({names}) are not included."


def _foundation(foundation: Mapping[str, FoundationRecord]) -> str:
    lines = []
    for part, record in foundation.items():
        known = FOUNDATIONS.get(record.name)
        terms = f"; licence: {known.licence}" if known else ""
        digests = " or ".join(record.accepted_digests) or "not recorded"
        lines.append(f"- {PARTS[part]}: {record.name}, sha256 {digests}{terms}")
    return "\n".join(lines) or "- none"


def _list(facts: Mapping[str, object], indent: str = "") -> str:
    return "\n".join(f"{indent}- {key}:{_text(value, indent)}" for key, value in facts.items())


def _text(value: object, indent: str) -> str:
    if isinstance(value, Mapping) and any(isinstance(part, Mapping) for part in value.values()):
        return f"\n{_list(value, indent + '  ')}"
    if isinstance(value, Mapping):
        return ";".join(f" {key}{_text(part, indent)}" for key, part in value.items())
    return " " + (", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value))
