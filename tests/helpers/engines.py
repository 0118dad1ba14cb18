"""Skips tests of the fast runtime where its engine is missing, see `required.missing`."""

from required import missing

from semantic_cc.runtime.engine import is_installed


def need_engine() -> None:
    if not is_installed():
        missing("openvino is not installed: pip install 'semantic-cc[openvino]'")
