"""The API reference shows every public name, and only modules that exist."""

import importlib
import re

import pytest
from doc_blocks import ROOT

import semantic_cc

SHOWN = re.findall(
    r"^::: (\S+)$",
    "\n".join(page.read_text(encoding="utf-8") for page in sorted((ROOT / "docs/api").glob("*.md"))),
    re.MULTILINE,
)


@pytest.mark.parametrize("name", [name for name in semantic_cc.__all__ if name != "__version__"])
def test_a_public_name_has_its_entry(name: str) -> None:
    found = getattr(semantic_cc, name)
    assert {found.__module__, f"{found.__module__}.{name}"} & set(SHOWN), f"docs/api: add {found.__module__}"


@pytest.mark.parametrize("path", SHOWN)
def test_an_entry_exists_and_is_described(path: str) -> None:
    try:
        found = importlib.import_module(path)
    except ModuleNotFoundError:
        module, _, name = path.rpartition(".")
        found = getattr(importlib.import_module(module), name)
    assert (found.__doc__ or "").strip(), path
