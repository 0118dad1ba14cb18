"""Semantic-CC describes what changed between two images of the same place: in one sentence, and in a change mask.

from semantic_cc import SemanticCC
description = SemanticCC.from_pretrained("small").describe("before.png", "after.png")
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from semantic_cc.predictor import SemanticCC
    from semantic_cc.scene.scene_options import SceneOptions
    from semantic_cc.scene.scene_report import SceneReport
    from semantic_cc.types import ChangeDescription

__version__ = "0.1.0"
__all__ = ["ChangeDescription", "SceneOptions", "SceneReport", "SemanticCC", "__version__"]

_HOMES = {
    "SemanticCC": "semantic_cc.predictor",
    "ChangeDescription": "semantic_cc.types",
    "SceneOptions": "semantic_cc.scene.scene_options",
    "SceneReport": "semantic_cc.scene.scene_report",
}


def __getattr__(name: str) -> Any:
    """Imports a public name on first use, so that importing the package stays light."""
    if name not in _HOMES:
        raise AttributeError(f"module 'semantic_cc' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """The public names, including those that are not imported yet."""
    return sorted(__all__)
