"""Packages that some tests need, and that continuous integration must have."""

import os

import pytest


def missing(reason: str) -> None:
    """Skips the test; fails it where the environment variable CI is set, because all extras are installed there."""
    if os.environ.get("CI"):
        pytest.fail(f"{reason}; with CI set it must be installed")
    pytest.skip(reason)
