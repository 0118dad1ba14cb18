"""One place for all runs of the tests, so that what tables share is trained once."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from semantic_cc.reproduce.experiment_runs import ReproductionSetup
from semantic_cc.reproduce.paper_tables import OURS, TABLES

MakeSetup = Callable[..., ReproductionSetup]


@pytest.fixture(scope="session")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("reproduce")


@pytest.fixture
def said() -> list[str]:
    """The progress lines of a test's setups."""
    return []


@pytest.fixture
def make_setup(kept: Path, world_folder: Path, said: list[str]) -> MakeSetup:
    """Overrides -> a setup at scale tiny on the twenty pairs of the world, without METEOR."""

    def make(out: Path = kept, data: Path = world_folder, **more: object) -> ReproductionSetup:
        data = (str(data),)
        given = {"flags": {"hardware": {"accelerator": "cpu"}}, "meteor": False, "say": said.append, **more}
        return ReproductionSetup(scale="tiny", data=data, test=data, masks=data, out=out, **given)

    return make


@pytest.fixture
def one_row(monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a table that is cut down to the full model's row."""
    monkeypatch.setitem(TABLES, "table4", replace(TABLES["table4"], rows=(OURS,)))
    return "table4"
