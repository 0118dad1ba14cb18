"""Sentences judged word by word."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semantic_cc.metrics.word_correctness import FAMILIES, families_of, judge_words

TRUTH = ("two villas appear at the top left", "some trees are removed and a road is built")


def test_a_word_is_right_where_a_reference_has_one_of_its_family() -> None:
    said = dict(judge_words("Two houses are constructed on the right of the street .", TRUTH))
    assert said["two"] is said["houses"] is said["constructed"] is said["street"] is True
    assert said["right"] is False
    assert said["are"] is said["the"] is None and "." not in said


def test_articles_tell_no_number() -> None:
    assert dict(judge_words("a house appears", ("three houses appear",)))["a"] is None
    assert dict(judge_words("one house appears", ("three houses appear",)))["one"] is False
    assert dict(judge_words("one house appears", ("a house appears",)))["one"] is True


@pytest.mark.parametrize(
    ("said", "truth", "right"),
    [
        ("the scene is the same as before", ("there is no difference",), True),
        ("the scene is the same as before", TRUTH, False),
        ("a house is built", ("there is no difference", "nothing has changed"), False),
    ],
)
def test_change_itself_decides_of_the_whole_sentence(said: str, truth: tuple[str, ...], right: bool) -> None:
    found = judge_words(said, truth)
    assert [word for word, _ in found] == said.split()
    assert {judged for _, judged in found} == {right}


def test_nothing_said_is_nothing_judged() -> None:
    assert judge_words("", TRUTH) == []


@given(st.sampled_from(sorted({word for words in FAMILIES.values() for word in words.split()})))
def test_a_plural_is_of_its_singular_s_families(word: str) -> None:
    assert families_of(word) and families_of(f"{word},") == families_of(word)
    assert families_of(f"{word}s")


@given(st.lists(st.sampled_from(TRUTH), min_size=1), st.sampled_from(TRUTH))
def test_a_reference_itself_is_never_wrong(more: list[str], said: str) -> None:
    assert False not in {judged for _, judged in judge_words(said, (said, *more))}
