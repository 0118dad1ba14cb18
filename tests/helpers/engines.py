"""Skips tests of the fast runtime where its engine is missing."""

import pytest

from semantic_cc.runtime.engine import is_installed


def need_engine() -> None:
    if not is_installed():
        pytest.skip("openvino is not installed: pip install 'semantic-cc[openvino]'")
