"""The vocabulary of the methods that write word by word."""

from hypothesis import given
from hypothesis import strategies as st

from semantic_cc.baselines.vocabulary import END, MARKS, UNKNOWN, Vocabulary, vocabulary_of

WORD = st.text("abcdefghij", min_size=1, max_size=4)


def test_rare_words_are_left_out_as_levir_cc_has_it() -> None:
    said = ["a house is built ."] * 5 + ["A Villa  is built"] * 4
    assert vocabulary_of(said) == ("a", "built", "house", "is")
    assert vocabulary_of(said, min_count=1) == ("a", "built", "house", "is", "villa")
    assert vocabulary_of([]) == ()


def test_an_unknown_word_keeps_its_place_and_is_never_written() -> None:
    known = Vocabulary(("a", "house"))
    ids = known.ids("a tall house .")
    assert ids == [MARKS, UNKNOWN, MARKS + 1, END]
    assert known.sentence(ids) == "a house"
    assert len(known) == MARKS + 2


@given(st.lists(WORD, min_size=1, max_size=12))
def test_a_sentence_of_known_words_comes_back(said: list[str]) -> None:
    sentence = " ".join(said)
    known = Vocabulary(vocabulary_of([sentence], min_count=1))
    ids = known.ids(sentence)
    assert known.sentence(ids) == sentence
    assert known.sentence([*ids, MARKS, MARKS]) == sentence  # what follows the end mark is not said
