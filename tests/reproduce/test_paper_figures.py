"""The paper's figures, as files that can be looked at."""

from collections.abc import Callable

import pytest
from PIL import Image

from semantic_cc.data.open_dataset import open_dataset
from semantic_cc.errors import ConfigError
from semantic_cc.reproduce import paper_figures
from semantic_cc.reproduce.experiment_runs import ReproductionSetup


@pytest.fixture(autouse=True)
def _calm(one_calm_thread: None) -> None:
    """The runs are those of test_experiment_runs."""


def drawn(name: str, setup: ReproductionSetup) -> None:
    png, pdf = paper_figures.draw(name, setup)
    assert (png.name, pdf.name) == (f"{name}-tiny.png", f"{name}-tiny.pdf")
    assert pdf.read_bytes().startswith(b"%PDF")
    first = png.read_bytes()
    with Image.open(png) as image:
        colours = image.convert("RGB").getcolors(maxcolors=2**24)
        assert min(image.size) > 300 and colours and len(colours) > 1000
    assert paper_figures.draw(name, setup)[0].read_bytes() == first


def test_fig9(make_setup: Callable) -> None:
    drawn("fig9", make_setup())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["fig6", "fig7", "fig8"])
def test_every_figure_runs(name: str, make_setup: Callable) -> None:
    drawn(name, make_setup())


def test_pairs_are_drawn_and_not_picked(world_folder) -> None:
    pairs = open_dataset(world_folder, "train")
    shown = paper_figures.chosen(pairs, changed=3, unchanged=2)
    assert [pair.changed for pair in shown] == [True] * 3 + [False] * 2
    assert [pair.name for pair in shown] == [pair.name for pair in paper_figures.chosen(pairs, 3, 2)]
    assert len(paper_figures.chosen(pairs, 99, 99)) == len(pairs)


def test_without_matplotlib_nothing_is_trained(make_setup: Callable, monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(paper_figures, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"needs matplotlib: pip install 'semantic-cc\[figures\]'"):
        paper_figures.draw("fig9", make_setup(out=tmp_path / "new"))
    assert not (tmp_path / "new").exists()
