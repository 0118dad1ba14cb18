"""The translation: linear, even in all directions, words near their embeddings, and the flag as it was."""

import pytest
import torch
from torch.nn import functional as F

from semantic_cc.checkpoint.build import build_model
from semantic_cc.config import load_config
from semantic_cc.training.pretraining import embedding_alignment
from semantic_cc.training.pretraining.embedding_alignment import (
    FLOOR,
    louder,
    nearest_rotation,
    translate,
    whitening,
)

KNOWN = ["left", "right", "road", "house"]


def test_tokens_of_a_decoder_in_the_llms_tongue() -> None:
    torch.manual_seed(0)
    decoder = build_model(load_config("tiny").model).caption_decoder.eval()
    tokens = torch.randn(2 * 24, 4, 4, 32)
    directions = torch.randn(len(KNOWN), decoder.llm_width)
    embeddings = decoder.llm.get_input_embeddings().weight
    meant = torch.stack([embeddings[decoder.prompter.ids(f" {word}")].mean(0) for word in KNOWN])
    meant = F.normalize(meant - embeddings.mean(0), dim=1)
    with torch.no_grad():
        decoder.flag.bias.fill_(0.3)
        visual = decoder.visual_tokens(tokens)
        flags = decoder.flag_logits(visual)
        translate(decoder, visual, directions, KNOWN)
        after = decoder.visual_tokens(tokens)
    rows, before = after.flatten(0, 1), visual.flatten(0, 1)
    torch.testing.assert_close(decoder.flag_logits(after), flags, atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(rows.mean(0), torch.zeros(rows.shape[1]), atol=1e-4, rtol=0)
    torch.testing.assert_close(rows.norm(dim=-1).mean(), embeddings.norm(dim=-1).mean())
    told = before @ directions.T  # how far each token tells each word
    heard = rows @ meant.T  # how near it came to the word's embedding
    for said, near in zip(told.T, heard.T, strict=True):
        assert torch.corrcoef(torch.stack([said, near]))[0, 1] > 0.5


@pytest.mark.parametrize("word", ["left", "house"])
def test_places_are_louder_and_other_words_are_not(word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def odds() -> float:
        """Of the tokens' variance, what tells the word to what does not."""
        torch.manual_seed(0)
        decoder = build_model(load_config("tiny").model).caption_decoder.eval()
        tokens, directions = torch.randn(2 * 200, 4, 4, 32), torch.randn(1, decoder.llm_width)
        with torch.no_grad():
            visual = decoder.visual_tokens(tokens)
            translate(decoder, visual, directions, [word])
            rows, before = decoder.visual_tokens(tokens).flatten(0, 1), visual.flatten(0, 1)
        told = (before - before.mean(0)) @ directions.T
        heard = F.normalize(torch.linalg.lstsq(rows, told).solution, dim=0)
        own = (rows @ heard).var().item()
        return own / (rows.var(0).sum().item() - own)

    loud = odds()
    monkeypatch.setattr(embedding_alignment, "LOUD", ())
    assert loud == pytest.approx(odds() * (36 if word == "left" else 1), rel=0.05)


def test_whitening_makes_even_what_is_above_the_floor() -> None:
    torch.manual_seed(0)
    spread = torch.tensor([30.0, 3.0, 3.0, 1e-4])
    rows = torch.randn(20_000, 4) * spread
    rows -= rows.mean(0)
    whiten, colour = whitening(rows)
    torch.testing.assert_close(whiten @ colour, torch.eye(4), atol=1e-4, rtol=0)
    floor = (FLOOR * rows.var(0).sum()).item()
    expected = spread**2 / (spread**2 + floor)
    torch.testing.assert_close((rows @ whiten.T).var(0), expected, atol=0.03, rtol=0.03)


def test_the_rotation_finds_a_rotation() -> None:
    torch.manual_seed(0)
    turn = torch.linalg.qr(torch.randn(6, 6))[0]
    sources = torch.randn(9, 6)
    found = nearest_rotation(sources, 3 * sources @ turn.T)
    torch.testing.assert_close(found, turn, atol=1e-4, rtol=0)


def test_louder_is_what_lies_along_the_directions_and_nothing_else() -> None:
    torch.manual_seed(0)
    plane = torch.linalg.qr(torch.randn(6, 6))[0].T  # rows: an orthonormal base
    same = plane[:2].repeat(2, 1) * torch.tensor([[1.0], [5.0], [-1.0], [0.1]])  # four words, two directions
    change = louder(same, 4.0)
    torch.testing.assert_close(plane[:2] @ change.T, 4 * plane[:2], atol=1e-5, rtol=0)
    torch.testing.assert_close(plane[2:] @ change.T, plane[2:], atol=1e-5, rtol=0)
