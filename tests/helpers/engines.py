"""Skips tests of the fast runtime where its engine is missing."""

import pytest

from semantic_cc.runtime.engine import PACKAGES, is_installed


def need_engine() -> None:
    if not is_installed():
        pytest.skip(f"{' and '.join(PACKAGES)} are not installed: pip install 'semantic-cc[openvino]'")
