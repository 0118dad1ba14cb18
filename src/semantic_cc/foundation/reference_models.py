"""Reference implementations beside ours, for proofs: Meta's own SAM, loaded without the rest of its package."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from types import ModuleType

ALIAS = "semantic_cc_segment_anything"


def segment_anything() -> ModuleType | None:
    """``segment_anything.build_sam``, where the distribution is installed; None where it is not.

    Importing the package itself would ask for torchvision; its model files alone do not.
    """
    spec = importlib.util.find_spec("segment_anything")
    if spec is None or spec.submodule_search_locations is None:
        return None
    if ALIAS not in sys.modules:
        package = ModuleType(ALIAS)
        package.__path__ = list(spec.submodule_search_locations)
        sys.modules[ALIAS] = package
    return importlib.import_module(f"{ALIAS}.build_sam")
