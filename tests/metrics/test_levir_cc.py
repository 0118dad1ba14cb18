"""The known numbers of the real LEVIR-CC captions (DESIGN section 7); skipped where the data is absent."""

import json
import os
from pathlib import Path

import pytest

from semantic_cc.metrics import best_constant_sentence, says_change, score_captions
from semantic_cc.metrics.caption import MANY_HOUSES, SAME

SHARED = Path(os.environ.get("SEMANTIC_CC_SHARED", Path(__file__).parents[2].parent / "shared"))
CAPTIONS = SHARED / "data/levir_cc/captions.json"

pytestmark = pytest.mark.skipif(
    not CAPTIONS.is_file(), reason=f"no LEVIR-CC captions at {CAPTIONS}; set SEMANTIC_CC_SHARED"
)


@pytest.fixture(scope="module")
def entries():
    return json.loads(CAPTIONS.read_text())["images"]


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_the_flag_rule_is_right_on_every_sentence(entries, split):
    chosen = [entry for entry in entries if entry["split"] == split]
    assert len(chosen) == {"train": 6815, "val": 1333, "test": 1929}[split]
    wrong = [
        sentence["raw"]
        for entry in chosen
        for sentence in entry["sentences"]
        if says_change(sentence["raw"]) != bool(entry["changeflag"])
    ]
    assert wrong == []


@pytest.fixture(scope="module")
def references(entries):
    chosen = [entry for entry in entries if entry["split"] == "test"]
    return {entry["filename"]: [sentence["raw"] for sentence in entry["sentences"]] for entry in chosen}


@pytest.mark.parametrize(
    ("for_changed", "known"),
    [(SAME, [64.6, 51.5, 60.6, 101.9]), (MANY_HOUSES, [80.0, 63.2, 72.1, 124.1])],
)
def test_known_baselines(references, for_changed, known):
    answers = {name: for_changed if says_change(given[0]) else SAME for name, given in references.items()}
    scores = score_captions(answers, references)
    assert [round(scores[name], 1) for name in ("BLEU-1", "BLEU-4", "ROUGE-L", "CIDEr")] == known


def test_the_best_constant_is_not_the_usual_one(references):
    sentence, cider = best_constant_sentence(references)
    assert sentence == "no change has occurred"
    assert cider == pytest.approx(score_captions(dict.fromkeys(references, sentence), references)["CIDEr"])
    assert cider == pytest.approx(110.4, abs=0.05)
