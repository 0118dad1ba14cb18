"""The caption decoder that also reads the change decoder's features."""

import pytest
import torch
from torch.testing import assert_close

from semantic_cc.config import load_config
from semantic_cc.errors import ConfigError
from semantic_cc.model.semantic_cc import with_change_features
from semantic_cc.training import stages

GUIDED = {"change_decoder": {"caption_features": True}}
SAID = {"sentences": [["a road"], ["nothing"]], "instructions": ["What?", "Say it."]}


@pytest.fixture(scope="module")
def model(build):
    return build(GUIDED)


def test_features_are_averaged_over_cells_and_stand_with_the_later_date():
    tokens = torch.rand(4, 2, 3, 5)
    logits, fused = torch.randn(2, 3, 32, 48), torch.randn(2, 7, 8, 12)
    seen = with_change_features(tokens, logits, fused)
    assert seen.shape == (4, 2, 3, 5 + 7 + 2)
    assert_close(seen[..., :5], tokens)
    assert not seen[:2, ..., 5:].any()
    assert_close(seen[2:, 1, 2, 5:12], fused[:, :, 4:, 8:].mean((2, 3)))
    share = logits.softmax(1)[:, 1:, 16:, 32:].mean((2, 3))
    assert_close(seen[2:, 1, 2, 12:], share.sqrt())


def test_sentences_and_flag_depend_on_the_mask(model, pair):
    before, after = pair()
    plain = model.predict_masks(before, after)
    level = model.change_decoder.levels[0].convs[0].weight
    with torch.no_grad():
        level.neg_()
    try:
        other = model.predict_masks(before, after)
    finally:
        with torch.no_grad():
            level.neg_()
    assert (plain.class_probabilities - other.class_probabilities).abs().max() > 1e-4
    assert (plain.change_probability - other.change_probability).abs().max() > 1e-6


@pytest.mark.parametrize("change", [True, False])
def test_the_caption_loss_does_not_train_the_change_decoder(model, pair, change):
    stages.apply(stages.TOGETHER, model)
    out = model(*pair(), change=change, **SAID)
    assert (out.change_logits is None) != change
    (out.caption_logits.float().mean() + out.flag_logits.mean()).backward()
    assert all(parameter.grad is None for parameter in model.change_decoder.parameters())
    assert model.caption_decoder.project.weight.grad[:, -1].abs().max() > 0
    assert any(parameter.grad is not None for parameter in model.encoder.parameters())
    model.eval()


def test_masks_are_trained_as_before(build, pair):
    plain, guided = build(shaken=False), build(GUIDED, shaken=False)
    state = {key: value for key, value in plain.state_dict().items() if "caption_decoder" not in key}
    guided.load_state_dict(state, strict=False)
    assert_close(guided(*pair()).change_logits, plain(*pair()).change_logits)


@pytest.mark.parametrize("values", [{"change_task": False}, {"method": "psnet"}])
def test_it_needs_a_change_decoder(values):
    with pytest.raises(ConfigError, match=r"change_decoder\.caption_features needs"):
        load_config("tiny", {"model": {**GUIDED, **values}})
