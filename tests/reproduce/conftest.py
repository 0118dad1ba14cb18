"""One place for all runs of the tests, so that what tables share is trained once."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from semantic_cc.reproduce.experiment_runs import Workshop
from semantic_cc.reproduce.paper_tables import OURS, TABLES

Shop = Callable[..., Workshop]


@pytest.fixture(scope="session")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("reproduce")


@pytest.fixture
def said() -> list[str]:
    """What the workshops of a test tell."""
    return []


@pytest.fixture
def shop(kept: Path, world_folder: Path, said: list[str]) -> Shop:
    """Overrides -> a workshop at scale tiny on the twenty pairs of the world, without METEOR."""

    def make(out: Path = kept, data: Path = world_folder, **more: object) -> Workshop:
        data = (str(data),)
        flags = {"hardware": {"accelerator": "cpu"}}
        return Workshop("tiny", data, data, data, out, flags, **{"meteor": False, "say": said.append, **more})

    return make


@pytest.fixture
def one_row(monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a table that is cut down to the full model's row."""
    monkeypatch.setitem(TABLES, "table4", replace(TABLES["table4"], rows=(OURS,)))
    return "table4"
