"""The word decoder: what it learns from, and what greedy and beam search write."""

import itertools
from collections.abc import Sequence

import pytest
import torch

from semantic_cc.baselines.vocabulary import END, MARKS, START, UNKNOWN
from semantic_cc.baselines.word_decoder import WordDecoder
from semantic_cc.config import BaselineConfig

WORDS = ("a", "house", "road")


def decoder(layers: int = 1, skip: bool = False, **sizes: object) -> WordDecoder:
    """Random and sharp, so that no two words are as probable."""
    torch.manual_seed(3)
    made = WordDecoder(
        BaselineConfig(heads=2, dropout=0.0, vocabulary=WORDS, **sizes), 16, layers=layers, skip=skip
    )
    torch.nn.init.normal_(made.embed.weight)
    torch.nn.init.normal_(made.score.weight, std=0.5)
    return made.eval()


def memories(count: int = 1, pairs: int = 3) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    return [torch.randn(pairs, 6, 16, generator=generator) for _ in range(count)]


def said(made: WordDecoder, ids: Sequence[Sequence[int]], memory: Sequence[torch.Tensor]) -> torch.Tensor:
    """Logits of the word after each."""
    return made(torch.tensor(ids), made.remember(memory))


def score(made: WordDecoder, memory: Sequence[torch.Tensor], ids: Sequence[int]) -> float:
    """Log-probability of a whole sentence, of which the marks START and UNKNOWN can be no part."""
    logits = said(made, [[START, *ids[:-1]]], memory)[0]
    logits[:, [START, UNKNOWN]] = float("-inf")
    return float(logits.log_softmax(-1)[range(len(ids)), list(ids)].sum().detach())


@pytest.mark.parametrize("skip", [False, True])
def test_teaching_side_by_side_is_teaching_one_by_one(skip: bool) -> None:
    made, (memory,) = decoder(layers=2, skip=skip), memories(pairs=2)
    told = [["a house", "road"], ["a house a road here"]]
    logits, targets = made.teach([memory], told)
    one_by_one = [made.teach([memory[i : i + 1]], [[text]]) for i, own in enumerate(told) for text in own]
    torch.testing.assert_close(logits, torch.cat([rows for rows, _ in one_by_one]))
    assert torch.equal(targets, torch.cat([ids for _, ids in one_by_one]))
    assert targets.tolist() == [3, 4, END, 5, END, 3, 4, 3, 5, UNKNOWN, END]


def test_no_word_sees_a_later_one() -> None:
    made, memory = decoder(), memories(pairs=1)
    short, long = said(made, [[START, 3, 4]], memory), said(made, [[START, 3, 4, 5, 5]], memory)
    torch.testing.assert_close(short, long[:, :3])


def test_greedy_takes_the_most_probable_word_each_time() -> None:
    made, memory = decoder(max_words=6), memories()
    for pair, sentence in enumerate(made.generate(memory)):
        ids = [START]
        while ids[-1] != END and len(ids) <= 6:
            logits = said(made, [ids], [memory[0][pair : pair + 1]])[0, -1]
            logits[[START, UNKNOWN]] = float("-inf")
            ids.append(int(logits.argmax()))
        assert sentence == made.vocabulary.sentence(ids[1:])
        assert len(sentence.split()) <= 6


def test_a_wide_beam_finds_the_most_probable_sentence_of_all() -> None:
    length = 3
    wide, memory = decoder(beam=40, max_words=length), memories()
    greedy = decoder(max_words=length)
    words = range(MARKS, MARKS + len(WORDS))
    ended = [[*ids, END] for count in range(length) for ids in itertools.product(words, repeat=count)]
    every = ended + [list(ids) for ids in itertools.product(words, repeat=length)]
    for pair, found in enumerate(wide.generate(memory)):
        own = [memory[0][pair : pair + 1]]
        best = max(every, key=lambda ids: score(wide, own, ids))
        assert found == wide.vocabulary.sentence(best)
    assert wide.generate(memory) != greedy.generate(memory)  # or the beam would prove nothing


@pytest.mark.parametrize("beam", [1, 3])
def test_a_batch_says_what_its_pairs_say_alone(beam: int) -> None:
    made, (memory,) = decoder(beam=beam, max_words=8), memories()
    alone = [made.generate([memory[i : i + 1]])[0] for i in range(len(memory))]
    assert made.generate([memory]) == alone


def test_each_layer_reads_its_own_memory() -> None:
    made = decoder(layers=2)
    first, second = memories(2)
    ids = [[START, 3]] * 3
    assert not torch.allclose(said(made, ids, [first, second]), said(made, ids, [second, first]))
    torch.testing.assert_close(said(made, ids, [first, first]), said(made, ids, [first]))


def test_a_layer_may_add_its_input_once_more() -> None:
    plain, skipping = decoder(), decoder(skip=True)
    skipping.load_state_dict(plain.state_dict())
    ids, memory = [[START, 3]] * 3, memories()
    assert not torch.allclose(said(plain, ids, memory), said(skipping, ids, memory))


def test_a_layer_is_torch_s_decoder_layer() -> None:
    ours = decoder().layers[0]
    theirs = torch.nn.TransformerDecoderLayer(16, 2, 64, dropout=0.0, batch_first=True).eval()
    state = theirs.state_dict()
    for name, own in (("self_attn", ours.words), ("multihead_attn", ours.memory)):
        state[f"{name}.in_proj_weight"] = torch.cat([own.query.weight, own.key_value.weight])
        state[f"{name}.in_proj_bias"] = torch.cat([own.query.bias, own.key_value.bias])
        state |= {f"{name}.out_proj.{key}": value for key, value in own.out.state_dict().items()}
    for name, part in (("linear1", ours.ffn[0]), ("linear2", ours.ffn[3])):
        state |= {f"{name}.{key}": value for key, value in part.state_dict().items()}
    theirs.load_state_dict(state)
    words, memory = torch.randn(2, 5, 16), torch.randn(2, 7, 16)
    later = torch.ones(5, 5, dtype=torch.bool).triu(1)
    torch.testing.assert_close(
        ours(words, ours.memory.remember(memory)), theirs(words, memory, tgt_mask=later)
    )
