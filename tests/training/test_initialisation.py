"""A run that starts from foundation weights: trained from them, gone on from, frozen parts as they were."""

from dataclasses import replace
from pathlib import Path

import foundations as files
import pytest
import torch
from phases import multitask, only
from safetensors.torch import load_file

from semantic_cc.checkpoint.build import build_model
from semantic_cc.checkpoint.serialization import load_pretrained, save_pretrained
from semantic_cc.config import Config, load_config
from semantic_cc.data.open_dataset import open_dataset
from semantic_cc.errors import ConfigError, DataError
from semantic_cc.foundation.parts import read_part, write_part
from semantic_cc.model.semantic_cc import SemanticCCModel
from semantic_cc.training.initialisation import refuse_untrained_foundations, starting_model
from semantic_cc.training.pipeline import prepared, train


@pytest.fixture
def config(world_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """The paper's way at tiny size: SAM and Q-Former frozen, the enhancer started from MiniGPT-4."""
    monkeypatch.setenv("SEMANTIC_CC_CACHE", str(tmp_path / "cache"))
    files.hf_sam().save_pretrained(tmp_path / "sam")
    blip2 = files.save_pickle({"model": files.lavis_of(files.hf_blip2())}, tmp_path / "blip2.pth")
    minigpt4 = files.save_pickle(files.minigpt4(), tmp_path / "minigpt4.pth")
    for name, source in {"sam": tmp_path / "sam", "blip2": blip2, "minigpt4": minigpt4}.items():
        write_part(read_part(source, pickles=True), tmp_path / "cache" / f"{name}.safetensors")
    model = {
        "encoder": {**files.SAM_OURS, "image_size": 256, "adapt": "lora", "weights": "sam"},
        "qformer": {**files.QFORMER_OURS, "frozen": True, "weights": "blip2"},
        "enhancer": {"weights": "minigpt4"},
    }
    return load_config(
        "tiny",
        {"model": model, **multitask(items=2), "data": str(world_folder), "out": str(tmp_path / "run")},
    )


def test_a_run_from_foundation_weights(config: Config, tmp_path: Path) -> None:
    start = starting_model(config).state_dict()
    model, info = load_pretrained(train(config), merge=False)
    assert set(info.foundation) == {"encoder", "qformer", "llm"}
    state = model.state_dict()
    frozen = [
        name
        for name in state
        if name.startswith(("encoder.vision.", "caption_decoder.qformer.", "caption_decoder.ln_vision."))
        and "lora_" not in name
    ]
    assert frozen and all(torch.equal(state[name], start[name]) for name in frozen)
    assert not torch.equal(
        state["caption_decoder.enhancer.project.weight"], start["caption_decoder.enhancer.project.weight"]
    )
    stored = load_file(tmp_path / "run" / "model" / "model.safetensors")
    assert not set(frozen) & set(stored)


def test_going_on_from_a_run_needs_no_other_fields(config: Config, tmp_path: Path) -> None:
    """The checkpoint has dropped the enhancer's start; the configuration still names it."""
    trained = train(config)
    again = load_config(
        "tiny",
        {**_fields(config), **multitask(), "train": {"init": str(trained)}, "out": str(tmp_path / "again")},
    )
    expected = load_pretrained(trained, merge=False)[0].state_dict()
    for name, value in starting_model(again).state_dict().items():
        assert torch.equal(value, expected[name])


def test_decoding_and_keywords_may_differ_from_those_of_the_start(tmp_path: Path) -> None:
    folder = tmp_path / "start"
    first = load_config("tiny", {"model": {"keywords": ["a", "the"]}})
    save_pretrained(build_model(first.model), folder, name="start", training={})

    def start(phase: str = "keyword_head", **model: object) -> SemanticCCModel:
        return starting_model(
            load_config("tiny", {"model": model, "train": {"init": str(folder)}, **only(**{phase: {}})})
        )

    same = start(keywords=["a", "the"], decoding="beam", llm={"beams": 3, "max_new_tokens": 5})
    decoder = same.caption_decoder
    assert (decoder.beams, decoder.max_new_tokens, same.config.llm.beams) == (3, 5, 3)
    assert decoder.keyword_head.token_logits.weight.shape[0] == 2
    other = start(keywords=["a", "house", "road"], ensemble={"mask": 2.0, "keywords": 0.5})
    head = other.caption_decoder.keyword_head
    assert head.token_logits.weight.shape[0] == 3 and not head.token_logits.weight.any()
    assert (other.caption_decoder.mask_weight, other.caption_decoder.keyword_weight) == (2.0, 0.5)
    assert other.config.keywords == other.caption_decoder.keywords == ("a", "house", "road")
    kept = {name: value for name, value in other.state_dict().items() if ".keyword_head." not in name}
    assert all(torch.equal(value, same.state_dict()[name]) for name, value in kept.items())
    untouched = start("calibration", keywords=["a", "house", "road"])
    assert untouched.config.keywords == untouched.caption_decoder.keywords == ("a", "the")
    with pytest.raises(ConfigError, match="another model than the configuration describes"):
        start(keywords=["a", "the"], flag_head=not first.model.flag_head)


def test_a_phase_llm_may_start_from_a_deeper_language_model_with_fewer_adapters(tmp_path: Path) -> None:
    folder = tmp_path / "start"
    sizes = {"random_layers": 4, "lora_targets": ["q_proj"]}
    first = build_model(load_config("tiny", {"model": {"llm": sizes}}).model, seed=3)
    for name, value in first.state_dict().items():
        if "lora_B" in name:
            value.normal_()
    save_pretrained(first, folder, name="start", training={})

    def start(phase: str = "llm", init: Path = folder, **llm: object) -> SemanticCCModel:
        model = {"llm": {**sizes, **llm}}
        return starting_model(
            load_config("tiny", {"model": model, "train": {"init": str(init)}, **only(**{phase: {}})})
        )

    def layers(model: SemanticCCModel) -> list[dict[str, torch.Tensor]]:
        return [layer.state_dict() for layer in model.llm.get_decoder().layers]

    same = start()
    shorter = start(layers=[0, 2, 3], lora_targets=["q_proj", "o_proj"])
    assert shorter.llm.config.num_hidden_layers == 3 and shorter.config.llm.layers == (0, 2, 3)
    assert [layer.self_attn.layer_idx for layer in shorter.llm.get_decoder().layers] == [0, 1, 2]
    for kept, given in zip(layers(shorter), (layers(same)[n] for n in (0, 2, 3)), strict=True):
        adapted = {name.replace("o_proj.base_layer.", "o_proj."): value for name, value in kept.items()}
        assert all(torch.equal(adapted[name], value) for name, value in given.items())
        assert set(adapted) - set(given) == {f"self_attn.o_proj.lora_{x}.default.weight" for x in "AB"}
        assert not adapted["self_attn.o_proj.lora_B.default.weight"].any()

    save_pretrained(shorter, tmp_path / "shorter", name="shorter", training={})
    again = start(init=tmp_path / "shorter", layers=[0, 3], lora_targets=["q_proj", "o_proj"])
    assert all(torch.equal(a, b) for a, b in zip(
        (v for layer in layers(again) for v in layer.values()),
        (v for layer in (layers(shorter)[0], layers(shorter)[2]) for v in layer.values()), strict=True,
    ))  # fmt: skip
    for init, other in (
        (folder, {"lora_targets": ["o_proj"]}),
        (folder, {"layers": [0, 1], "random_layers": 5}),
        (tmp_path / "shorter", {"layers": [0, 1], "lora_targets": ["q_proj", "o_proj"]}),
        (tmp_path / "shorter", {"lora_targets": ["q_proj", "o_proj"]}),
    ):
        with pytest.raises(ConfigError, match="another model than the configuration describes"):
            start(init=init, **other)
    with pytest.raises(ConfigError, match="another model than the configuration describes"):
        start("calibration", layers=[0, 1])
    with pytest.raises(ConfigError, match="names layer 4; the language model has layers 0 to 3"):
        start(layers=[0, 4])


def test_a_language_model_takes_its_vocabulary_from_the_sentences_and_from_the_model_before(
    world_folder: Path, tmp_path: Path
) -> None:
    said = {
        word
        for item in open_dataset(world_folder, "train").items
        for text in item.sentences
        for word in text.split()
    }

    def config_of(**llm: object) -> Config:
        return load_config("tiny", {"data": str(world_folder), "model": {"llm": llm}})

    assert prepared(config_of()).model.llm.vocabulary == ()
    first = prepared(config_of(min_count=1))
    assert first.model.llm.vocabulary == tuple(sorted(said))
    assert set(prepared(config_of(min_count=3)).model.llm.vocabulary) < said
    with pytest.raises(DataError, match=r"no word occurs 9999 times .* model\.llm\.min_count"):
        prepared(config_of(min_count=9999))

    given = config_of(min_count=1, vocabulary=["quay"])
    assert prepared(given).model.llm.vocabulary == ("quay",)
    save_pretrained(starting_model(given), tmp_path / "before", name="before")
    goes_on = replace(first.train, init=str(tmp_path / "before"))
    again = prepared(replace(config_of(min_count=1), train=goes_on))
    assert again.model.llm.vocabulary == tuple(sorted({*said, "quay"}))
    model = starting_model(again)
    assert model.config.llm.vocabulary == again.model.llm.vocabulary
    prompter = model.caption_decoder.prompter
    assert set(prompter.answer_ids("quay houses")) <= set(prompter.vocabulary_ids)


def _fields(config: Config) -> dict:
    from semantic_cc.config import to_dict

    return {"model": to_dict(config)["model"], "data": config.data}


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ("encoder", "name its weights as model.encoder.weights"),
        ("qformer", "BLIP-2's weights as model.qformer.weights"),
    ],
)
def test_named_weights_are_asked_for(section: str, message: str, config: Config) -> None:
    refuse_untrained_foundations(config, True)
    fields = _fields(config)
    fields["model"][section]["weights"] = None
    with pytest.raises(ConfigError, match=message):
        refuse_untrained_foundations(load_config("tiny", fields), True)
