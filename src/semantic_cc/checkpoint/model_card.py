"""The model card: README.md of a published model, written from its config.json."""

from __future__ import annotations

from typing import Any

from semantic_cc.config.model import CHANGE_METHODS
from semantic_cc.foundation.catalogue import FOUNDATIONS

PARTS = {
    "encoder": "image encoder",
    "qformer": "Q-Former, queries and ln_vision",
    "llm": "language model",
}


def model_card(content: dict[str, Any], parameters: int) -> str:
    """The card of a model.

    Args:
        content: its config.json.
        parameters: how many weights are in the folder.
    """
    return f"""---
{_front_matter(content)}
---
# Semantic-CC {content["name"]}

{_what(content["model"]["method"])}
{_contents(content, parameters)}

## Training

{_list(content["training"]) or "- not recorded"}

## Foundation weights

{_foundation(content["foundation"])}

## Use

```python
from semantic_cc import SemanticCC

print(SemanticCC.from_pretrained("{content["name"]}").describe("before.png", "after.png").sentence)
```
"""


def _what(method: str) -> str:
    if method == "semantic-cc":
        return "Two images of one place in; a sentence that says what changed and a mask of where out."
    out = "a mask of what changed" if method in CHANGE_METHODS else "a sentence that says what changed"
    return f"Two images of one place in; {out} out. This is {method}, a method that Semantic-CC is compared with."


def _front_matter(content: dict[str, Any]) -> str:
    known = [FOUNDATIONS.get(entry["name"]) for entry in content["foundation"].values()]
    free = all(model and model.licence == "Apache-2.0" for model in known)
    # alone, the weights that we trained are ours to licence; merged with others they keep those others' terms
    lines = [
        f"license: {'apache-2.0' if free or not content['merged'] else 'other'}",
        "library_name: semantic-cc",
    ]
    lines.append("tags: [remote-sensing, change-captioning, change-detection]")
    hubs = [model.hub for model in known if model and model.hub]
    return "\n".join([*lines, *(["base_model:", *(f"- {hub}" for hub in hubs)] if hubs else [])])


def _contents(content: dict[str, Any], parameters: int) -> str:
    if content["merged"]:
        return f"{parameters:,} weights, adapters merged, language model inside: nothing else is needed."
    if not content["foundation"]:
        return f"{parameters:,} weights: nothing else is needed."
    names = ", ".join(entry["name"] for entry in content["foundation"].values())
    return f"{parameters:,} weights of its own; the foundation weights ({names}) are not included."


def _foundation(foundation: dict[str, Any]) -> str:
    lines = []
    for part, entry in foundation.items():
        known = FOUNDATIONS.get(entry["name"])
        terms = f"; licence: {known.licence}" if known else ""
        digests = " or ".join(entry["accepted_digests"]) or "not recorded"
        lines.append(f"- {PARTS[part]}: {entry['name']}, sha256 {digests}{terms}")
    return "\n".join(lines) or "- none"


def _list(facts: dict[str, Any]) -> str:
    return "\n".join(f"- {key}: {value}" for key, value in facts.items())
