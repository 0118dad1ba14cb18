"""One calm thread."""

import pytest


@pytest.fixture(autouse=True)
def _calm(one_calm_thread: None) -> None:
    """Every test of this folder compares numbers."""
