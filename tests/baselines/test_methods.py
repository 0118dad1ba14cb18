"""Each compared captioning method against its paper's description: shapes, gradients, what reads what."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from semantic_cc.checkpoint.build import build_model
from semantic_cc.checkpoint.serialization import load_pretrained, save_pretrained
from semantic_cc.config import load_config
from semantic_cc.config.model import CAPTIONING_METHODS
from semantic_cc.errors import ConfigError, InputError
from semantic_cc.model.base import ChangeModel
from semantic_cc.training import stages

Make = Callable[..., ChangeModel]
Two = tuple[torch.Tensor, torch.Tensor]

SAID = (("a road is there", "houses appear"), ("there is no difference",))
ANSWERS = ["a road is there", "houses appear", "there is no difference"]
WIDTH, LAYERS = 32, 2  # tiny's
MEMORIES = {"rsiccformer": (1, 2 * WIDTH), "psnet": (LAYERS, 2 * WIDTH), "chg2cap": (1, WIDTH)}
"""Word-by-word methods: memories and their width."""


def taught(model: ChangeModel, pair: Two):
    return model(*pair, sentences=SAID, instructions=["", ""])


@pytest.mark.parametrize("method", CAPTIONING_METHODS)
def test_what_is_learned_from_is_every_word_of_every_sentence(method: str, make: Make, pair: Two) -> None:
    model = make(method)
    output = taught(model, pair)
    ids = [token for text in ANSWERS for token in model.caption_decoder.answer_ids(text)]
    assert output.caption_targets.tolist() == ids
    assert output.caption_logits.shape[0] == len(ids)
    assert output.change_logits is None
    assert (output.flag_logits is not None) == (method == "promptcc")


@pytest.mark.parametrize("method", CAPTIONING_METHODS)
def test_every_weight_that_trains_gets_a_gradient_and_no_other(method: str, make: Make, pair: Two) -> None:
    model = make(method)
    (stage,) = stages.stages_of(["change", "caption", "joint"], model.config)
    stages.apply(stage, model)
    output = taught(model, pair)
    loss = output.caption_logits.square().mean()
    (loss if output.flag_logits is None else loss + output.flag_logits.square().mean()).backward()
    with_gradient = {name for name, p in model.named_parameters() if p.grad is not None and p.grad.any()}
    assert with_gradient == stages.trainable_names(stage, model)
    assert not any(
        name.startswith(("caption_decoder.llm.", "encoder.vision.neck.")) for name in with_gradient
    )


@pytest.mark.parametrize("method", MEMORIES)
def test_memories_have_the_paper_s_shapes(method: str, make: Make, pair: Two) -> None:
    model = make(method)
    count, width = MEMORIES[method]
    memories = model.neck(model.encode(*pair).caption)
    assert [tuple(memory.shape) for memory in memories] == [(2, 4 * 4, width)] * count
    layers = model.caption_decoder.layers
    assert len(layers) == (count if count > 1 else model.config.baseline.decoder_layers)
    assert layers[0].memory.query.in_features == width


def test_promptcc_s_prompt_is_two_dates_then_learned_tokens(make: Make, pair: Two) -> None:
    model = make("promptcc")
    flag, visual = model.neck(model.encode(*pair).caption)
    assert flag.shape == (2,) and visual.shape == (2, 2 * 4 * 4, 32)
    changed, unchanged = (model.caption_decoder.prompts(visual, [flag, flag]) for flag in (True, False))
    assert [row.shape for row in changed] == [(2 * 16 + 5 + 1, 32)] * 2
    assert torch.equal(changed[0][:-1], unchanged[0][:-1]) and not torch.equal(
        changed[0][-1], unchanged[0][-1]
    )
    large = torch.rand(2, 1, 3, 160, 128)
    assert model.neck(model.encode(*large).caption)[1].shape == (1, 2 * 7 * 7, 32)  # CLIP ViT-B/32's grid


@pytest.mark.parametrize("method", CAPTIONING_METHODS)
def test_all_methods_start_from_the_same_encoder(method: str, make: Make) -> None:
    ours = build_model(load_config("tiny").model, seed=4).encoder.vision.state_dict()
    theirs = make(method, seed=4).encoder.vision.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert not make(method).encoder.filters


def neck_of(make: Make, method: str) -> tuple[nn.Module, torch.Tensor]:
    """A neck, and tokens (2, 4, 4, 32) of one unchanged pair."""
    torch.manual_seed(1)
    return make(method).eval().neck, torch.randn(1, 4, 4, WIDTH).repeat(2, 1, 1, 1)


def test_rsiccformer_asks_about_the_difference_alone(make: Make, shake: Callable) -> None:
    neck, tokens = neck_of(make, "rsiccformer")
    shake(neck)
    layer, x = neck.cross[0], neck.entrance(tokens).flatten(1, 2)
    # where nothing differs, attention finds the same at every place: its values' bias
    nothing = layer.attention.out(layer.attention.key_value.bias[-WIDTH:])
    expected = layer.norms[0](x + nothing)
    torch.testing.assert_close(layer(x), layer.norms[1](expected + layer.ffn(expected)))


def test_rsiccformer_fuses_all_stages(make: Make, pair: Two) -> None:
    model = make("rsiccformer").eval()
    tokens = model.encode(*pair).caption
    x, fused = model.neck.entrance(tokens), 0.0
    for cross, fuse, norm in zip(model.neck.cross, model.neck.fuse, model.neck.norms, strict=True):
        x = cross(x.flatten(1, 2)).view(x.shape)
        fused = norm(fuse(fused + torch.cat([x[:2], x[2:]], dim=-1)))
    torch.testing.assert_close(model.neck(tokens)[0], fused.flatten(1, 2))


def test_psnet_s_decoder_reads_the_deepest_layer_first(make: Make, pair: Two) -> None:
    neck = make("psnet", layers=3).eval().neck
    tokens = torch.randn(4, 4, 4, WIDTH)
    full = neck(tokens)
    for weight in neck.reinforce[2].ffn.parameters():
        torch.nn.init.zeros_(weight)  # the third layer's features are no longer reinforced
    x = neck.entrance(tokens).flatten(1, 2)
    for perceive in neck.perceive:
        x = perceive(x)
    own = torch.cat(x.chunk(2), dim=-1)
    plain = neck(tokens)
    torch.testing.assert_close(plain[0], own)
    assert not torch.allclose(full[0], own)
    assert torch.equal(plain[1], full[1]) and torch.equal(plain[2], full[2])


def test_psnet_reinforces_a_layer_by_the_others_alone(make: Make) -> None:
    reinforce = make("psnet").eval().neck.reinforce[0]
    x, one, two = torch.randn(3, 2, 6, 2 * WIDTH)
    torch.testing.assert_close(reinforce(x, [one, two]), reinforce(x, [two, one]))  # no order among keys
    assert not torch.allclose(reinforce(x, [one, two]), reinforce(x, [one, one]))


def test_chg2cap_s_mask_is_one_where_the_dates_agree(make: Make) -> None:
    neck, tokens = neck_of(make, "chg2cap")
    for layer in neck.attend:  # without what joins the dates they stay alike
        for weight in layer.across.parameters():
            torch.nn.init.zeros_(weight)
    seen = []
    neck.narrow.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    neck(tokens)
    places = neck.entrance(tokens)
    torch.testing.assert_close(seen[0], torch.cat([places[:1], places[1:]], dim=-1) + 1)


def test_chg2cap_brings_the_first_tokens_again(make: Make) -> None:
    block = make("chg2cap").eval().neck.attend[0]
    x, first = torch.randn(2, 4, 6, WIDTH)
    torch.testing.assert_close(block(x, first) - first, block(x, torch.zeros_like(first)))


def test_promptcc_writes_of_change_what_its_classifier_says(make: Make, pair: Two) -> None:
    model = make("promptcc").eval()
    asked = []
    prompts = model.caption_decoder.prompts
    model.caption_decoder.prompts = lambda visual, changed: asked.append(changed) or prompts(visual, changed)
    for bias, expected in ((9.0, True), (-9.0, False)):
        nn.init.constant_(model.neck.flag.bias, bias)
        found = model.predict(*pair)
        assert found.changed == [expected] * 2
        assert ((found.change_probability >= 0.5) == expected).all()
        assert torch.equal(model.predict_masks(*pair).change_probability, found.change_probability)
    taught(model, pair)
    assert asked == [[True] * 2, [False] * 2, [True, False]]  # in training the truth's


@pytest.mark.parametrize("method", CAPTIONING_METHODS)
def test_images_of_any_size(method: str, make: Make) -> None:
    model = make(method, max_words=4).eval()
    pair = torch.rand(2, 1, 3, 30, 80)
    found = model.predict(*pair)
    assert found.heatmap.shape == (1, 30, 80) and found.class_probabilities is None
    assert torch.equal(model.predict_masks(*pair).heatmap, found.heatmap)


@pytest.mark.parametrize("method", CAPTIONING_METHODS)
def test_no_instruction_is_read(method: str, make: Make, pair: Two) -> None:
    with pytest.raises(InputError, match=f"{method} does not read an instruction"):
        make(method).predict(*pair, ["What changed?"])


@pytest.mark.parametrize("merge", [False, True])
@pytest.mark.parametrize("method", CAPTIONING_METHODS)
def test_a_checkpoint_says_the_same(
    method: str, merge: bool, make: Make, pair: Two, shake: Callable, tmp_path: Path
) -> None:
    model = make(method, max_words=8).eval()
    shake(model.encoder)
    shake(model.neck)
    folder = save_pretrained(model, tmp_path / "saved", name=method, merge=merge)
    loaded, info = load_pretrained(folder)
    assert info.config == model.config
    assert info.foundation.keys() == ({"llm"} if method == "promptcc" else set())
    one, two = model.predict(*pair), loaded.predict(*pair)
    assert one.sentence == two.sentence and one.changed == two.changed
    assert torch.equal(one.heatmap, two.heatmap)
    card = (folder / "README.md").read_text()
    assert f"This is {method}, a method that Semantic-CC is compared with" in card


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"change_task": True}, "gives no mask: model.change_task must be off"),
        ({"flag_head": True}, "has no change-flag head: model.flag_head must be off"),
        ({"encoder": {"bcsf": True}}, "without BCSF: model.encoder.bcsf must be off"),
        ({"decoding": "consensus"}, "reads no instruction: model.decoding must be greedy"),
        (
            {"change_decoder": {"detail": 4}},
            "does not correct its mask: model.change_decoder.detail must be 0",
        ),
        ({"keywords": ["a"]}, "has no keyword head: model.keywords must be empty"),
        ({"baseline": {"width": 30, "heads": 4}}, "baseline.width must be a multiple of baseline.heads"),
        ({"baseline": {"beam": 0}}, "baseline.beam, max_words and min_count must be at least 1"),
        ({"method": "psnet", "baseline": {"layers": 1}}, "at least 2 for psnet"),
    ],
)
def test_what_does_not_fit_a_method_is_refused(model: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config("tiny+chg2cap", {"model": model})


def test_a_method_of_one_task_has_one_stage() -> None:
    config = load_config("tiny+chg2cap").model
    assert stages.stages_of(["change", "caption", "joint"], config) == (stages.COMPARED_CAPTION,)
    assert stages.stages_of(["together"], config) == ()


def test_promptccs_prompts_start_at_the_size_of_words(make: Make, pair: Two) -> None:
    model = make("promptcc")
    words = model.llm.get_input_embeddings().weight.std()
    visual = model.neck(model.encode(*pair).caption)[1]
    prompts = torch.cat(model.caption_decoder.prompts(visual, [True, False]))
    assert 0.7 * words < prompts.std() < 1.4 * words
