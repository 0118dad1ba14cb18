"""The shipped recipes on the real images that they name; skipped where those are not at hand."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from semantic_cc.metrics.consistency import check_sentence
from semantic_cc.synth.composite.mixture import Mixture, make_pair, open_mixture
from semantic_cc.synth.composite.mixture_recipe import SOURCES, Shares, parse_recipe
from semantic_cc.types import BUILDING, NOT_BUILDING

RUNS = Path(__file__).parents[3] / "runs"


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> Mixture:
    text = (RUNS / "real.yaml").read_text().replace("../data", str(shared_data))
    path = tmp_path_factory.mktemp("recipe") / "real.yaml"
    path.write_text(text)
    return open_mixture(path)


@pytest.mark.parametrize("source", SOURCES[:4])
def test_sentences_agree_with_the_masks(real: Mixture, source: str) -> None:
    own = replace(real, recipe=replace(real.recipe, shares=Shares(**{source: 1})))
    for index in range(6):
        pair = make_pair(own, 31, index, "train")
        for sentence in pair.sentences:
            checks = check_sentence(sentence, pair.label, roads=NOT_BUILDING not in pair.label)
            assert all(check.agrees for check in checks), (index, sentence, checks)


def test_pasted_roofs_have_the_size_of_houses(real: Mixture) -> None:
    own = replace(real, recipe=replace(real.recipe, shares=Shares(pasted=1)))
    areas: list[int] = []
    for index in range(12):
        objects, _ = ndimage.label(make_pair(own, 5, index, "train").label == BUILDING)
        areas += np.bincount(objects.ravel())[1:].tolist()
    assert 500 < np.median(areas) < 1500  # 125 to 375 square metres at 0.5 m a pixel


def test_both_recipes_hold_back_the_same_images(real: Mixture) -> None:
    one, other = (parse_recipe((RUNS / f"{name}.yaml").read_text(), name) for name in ("real", "unchanged"))
    for field in ("split_seed", "held_back"):
        assert getattr(one, field) == getattr(other, field)
    assert one.folders[0].same == other.folders[0].same
    shares = [len(real.pools[split].every) / 2100 for split in ("train", "val", "test")]
    assert shares == pytest.approx([0.8, 0.1, 0.1], abs=0.02)
