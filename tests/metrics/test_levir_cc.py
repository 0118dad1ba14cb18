"""The known numbers of the real LEVIR-CC captions; skipped where the data is absent."""

import json

import pytest
from shared import SHARED

from semantic_cc.data.prediction_files import read_references
from semantic_cc.metrics import best_constant_sentence, caption_report, says_change, score_captions
from semantic_cc.metrics.image_free_baselines import MANY_HOUSES, Baseline
from semantic_cc.metrics.meteor import find_java
from semantic_cc.metrics.protocols import protocol_of
from semantic_cc.sentences import UNCHANGED


def report(*args, **options) -> dict:
    """The scores as `--out` writes them."""
    return caption_report(*args, **options).to_json()


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
def references():
    return read_references(CAPTIONS, "test")


def flagged(references):
    return Baseline(UNCHANGED, MANY_HOUSES).answers(references.changed)


@pytest.mark.parametrize(
    ("for_changed", "known"),
    [(UNCHANGED, [64.6, 51.5, 60.6, 101.9]), (MANY_HOUSES, [80.0, 63.2, 72.1, 124.1])],
)
def test_known_baselines(references, for_changed, known):
    answers = Baseline(UNCHANGED, for_changed).answers(references.changed)
    scores = score_captions(answers, references.sentences)
    assert [round(scores[name], 1) for name in ("BLEU-1", "BLEU-4", "ROUGE-L", "CIDEr")] == known


@pytest.mark.parametrize(
    ("protocol", "bleu"), [("word", 63.2), ("vocab-id", 63.2), ("gpt2-id", 61.4), ("gpt2-id-blank", 62.3)]
)
def test_the_same_sentences_in_each_protocol(references, protocol, bleu):
    scores = score_captions(flagged(references), references.sentences, protocol, references.corpus)
    assert round(scores["BLEU-4"], 1) == bleu


def test_vocab_id_has_the_published_vocabulary(references):
    published = json.loads((CAPTIONS.parent / "vocab.json").read_text())
    encode = protocol_of("vocab-id", references.corpus).encode
    assert {word: encode(word) for word in published if not word.startswith("<")} == {
        word: str(number) for word, number in published.items() if not word.startswith("<")
    }


@pytest.mark.slow
@pytest.mark.skipif(find_java() is None, reason="METEOR needs Java 8+")
def test_meteor_of_the_known_baselines(references):
    result = report(flagged(references), references.sentences, references.changed, train=references.train)
    assert round(result["all"]["METEOR"], 1) == 40.0
    assert round(result["baselines"]["always_same"]["all"]["METEOR"], 1) == 27.8
    low, high = result["all"]["intervals"]["METEOR"]
    assert low < result["all"]["METEOR"] < high
    numbers = score_captions(
        flagged(references), references.sentences, "vocab-id", references.corpus, meteor=True
    )
    assert round(numbers["METEOR"], 1) == 37.9


def test_the_best_constant_is_not_the_usual_one(references):
    sentence, cider = best_constant_sentence(references.sentences)
    assert sentence == "no change has occurred"
    alone = score_captions(dict.fromkeys(references.sentences, sentence), references.sentences)
    assert cider == pytest.approx(alone["CIDEr"])
    assert cider == pytest.approx(110.4, abs=0.05)
