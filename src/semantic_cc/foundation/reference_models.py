"""Reference implementations for comparison: Meta's SAM, loaded without the rest of its package."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from types import ModuleType

ALIAS = "semantic_cc_segment_anything"


def segment_anything() -> ModuleType | None:
    """``segment_anything.build_sam``; None if the distribution is not installed.

    Importing the whole package requires torchvision; its model files do not.
    """
    spec = importlib.util.find_spec("segment_anything")
    if spec is None or spec.submodule_search_locations is None:
        return None
    if ALIAS not in sys.modules:
        package = ModuleType(ALIAS)
        package.__path__ = list(spec.submodule_search_locations)
        sys.modules[ALIAS] = package
    return importlib.import_module(f"{ALIAS}.build_sam")
