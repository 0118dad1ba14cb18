"""Where real data lies, for the tests that use it: beside the checkout, or where SEMANTIC_CC_SHARED says."""

import os
from pathlib import Path

SHARED = Path(os.environ.get("SEMANTIC_CC_SHARED", Path(__file__).resolve().parents[2].parent / "shared"))
