"""Checkpoints: the round trip, what they hold, and one clear line for each thing that can be wrong."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from semantic_cc.checkpoint import serialization
from semantic_cc.checkpoint.build import build_model
from semantic_cc.checkpoint.serialization import load_pretrained, save_pretrained
from semantic_cc.checkpoint.stored_parameters import own_parameter
from semantic_cc.errors import CheckpointError, OutputError
from semantic_cc.foundation.catalogue import FOUNDATIONS
from semantic_cc.model.semantic_cc import SemanticCCModel

Build = Callable[..., SemanticCCModel]
Images = Callable[..., tuple[torch.Tensor, torch.Tensor]]


@pytest.fixture
def model(build: Build) -> SemanticCCModel:
    """A tiny model whose own tensors are shaken, while the LLM's base is what it loads."""
    shaken, fresh = build(), build(shaken=False)
    own = own_parameter(fresh.config)
    state = {key: value for key, value in shaken.state_dict().items() if own(key)}
    fresh.load_state_dict(state, strict=False)
    return fresh


@pytest.fixture
def folder(model: SemanticCCModel, tmp_path: Path) -> Path:
    return save_pretrained(model, tmp_path / "saved", name="mine", training={"data": "world", "seed": 3})


def edit(folder: Path, change: Callable[[dict], None]) -> None:
    path = folder / "config.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_round_trip_is_bit_equal(model: SemanticCCModel, folder: Path, pair: Images) -> None:
    loaded, info = load_pretrained(folder, merge=False)
    assert not loaded.training
    assert info.name == "mine" and info.training == {"data": "world", "seed": 3}
    assert info.config == model.config
    one, two = model.predict(*pair()), loaded.predict(*pair())
    assert torch.equal(one.class_probabilities, two.class_probabilities)
    assert torch.equal(one.change_probability, two.change_probability)
    assert torch.equal(one.heatmap, two.heatmap)
    assert one.sentences == two.sentences and one.sentence == two.sentence


def test_loading_merges_unless_told_otherwise(folder: Path) -> None:
    assert not [name for name in load_pretrained(folder)[0].state_dict() if "lora_" in name]


def test_bfloat16_storage(model: SemanticCCModel, tmp_path: Path) -> None:
    folder = save_pretrained(model, tmp_path / "half", name="half", dtype=torch.bfloat16)
    stored = load_file(folder / "model.safetensors")
    assert {tensor.dtype for tensor in stored.values()} == {torch.bfloat16}
    state = load_pretrained(folder, merge=False)[0].state_dict()
    for key, value in model.state_dict().items():
        assert state[key].dtype == torch.float32
        if key in stored:
            assert torch.equal(state[key], value.bfloat16().float())


def test_the_digest_is_that_of_the_weights(model: SemanticCCModel, folder: Path, tmp_path: Path) -> None:
    again = save_pretrained(model, tmp_path / "again", name="again")
    assert load_pretrained(again)[1].digest == load_pretrained(folder)[1].digest
    model.neck.units[0].into_caption.project.bias.data += 1
    other = save_pretrained(model, tmp_path / "other", name="other")
    assert load_pretrained(other)[1].digest != load_pretrained(folder)[1].digest


def test_the_folder_has_the_hugging_face_layout(folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} == {"config.json", "model.safetensors", "README.md"}
    assert {path.name for path in folder.parent.iterdir()} == {"saved"}  # nothing half-written beside it
    card = (folder / "README.md").read_text()
    assert "data: world" in card and 'from_pretrained("mine")' in card


def test_it_holds_no_base_of_the_llm(model: SemanticCCModel, folder: Path) -> None:
    stored = set(load_file(folder / "model.safetensors"))
    of_llm = {name for name in stored if name.startswith("caption_decoder.llm.")}
    assert of_llm and all("lora_" in name for name in of_llm)
    others = {name for name in model.state_dict() if not name.startswith("caption_decoder.llm.")}
    assert stored - of_llm == others


@pytest.mark.parametrize(("given", "adapt"), [(True, "lora"), (True, "full"), (False, "lora")])
def test_sams_base_is_left_out_only_where_it_was_given_and_frozen(
    given: bool, adapt: str, build: Build, pair: Images, tmp_path: Path
) -> None:
    weights = tmp_path / "sam.safetensors"
    save_file(build({"encoder": {"adapt": "full"}}).encoder.vision.state_dict(), weights)
    model = build({"encoder": {"adapt": adapt, "weights": str(weights) if given else None}}, shaken=False)
    folder = save_pretrained(model, tmp_path / "saved", name="sam")
    stored = set(load_file(folder / "model.safetensors"))
    base = {n for n in model.state_dict() if n.startswith("encoder.vision.") and "lora_" not in n}
    assert base and stored & base == (set() if given and adapt == "lora" else base)
    loaded = load_pretrained(folder, merge=False)[0]
    assert torch.equal(model.predict(*pair()).heatmap, loaded.predict(*pair()).heatmap)


def test_saving_again_replaces_the_model(model: SemanticCCModel, folder: Path) -> None:
    save_pretrained(model, folder, name="newer")
    assert load_pretrained(folder)[1].name == "newer"


def test_saving_never_replaces_what_is_not_a_model(model: SemanticCCModel, tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    precious = tmp_path / "work" / "thesis.txt"
    precious.write_text("years of work")
    with pytest.raises(OutputError, match=r"would replace .*thesis\.txt"):
        save_pretrained(model, tmp_path / "work", name="mine")
    with pytest.raises(OutputError, match=r"would replace .*thesis\.txt"):
        save_pretrained(model, precious, name="mine")
    assert precious.read_text() == "years of work"


def test_a_place_that_cannot_be_written(model: SemanticCCModel, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match=r"cannot write the model to .*file/saved"):
        save_pretrained(model, tmp_path / "file" / "saved", name="mine")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_failure_half_way_leaves_the_old_model(
    model: SemanticCCModel, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = load_pretrained(folder)[1].digest

    def full(*args: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(serialization, "save_file", full)
    with pytest.raises(OutputError, match="No space left"):
        save_pretrained(model, folder, name="newer")
    assert load_pretrained(folder)[1].digest == digest
    assert {path.name for path in folder.parent.iterdir()} == {"saved"}


def test_another_shape(folder: Path) -> None:
    edit(folder, lambda content: content["model"]["qformer"].update(queries=5))
    with pytest.raises(CheckpointError, match=r"queries is \(1, 4, 32\), the model needs \(1, 5, 32\)"):
        load_pretrained(folder)


def test_another_architecture(folder: Path) -> None:
    edit(folder, lambda content: content["model"]["neck"].update(units=3))
    with pytest.raises(CheckpointError, match=r"neck\.units\.2\..* is missing \(and \d+ more\)"):
        load_pretrained(folder)
    edit(folder, lambda content: content["model"]["neck"].update(units=1))
    with pytest.raises(CheckpointError, match=r"neck\.units\.1\..* is unknown"):
        load_pretrained(folder)


@pytest.mark.parametrize("keep", [0, 20, 5000])
def test_corrupt_weights(folder: Path, keep: int) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CheckpointError, match="missing or corrupt") as caught:
        load_pretrained(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [("model.safetensors", "model.safetensors is missing"), ("config.json", "is not a model folder")],
)
def test_a_missing_file(folder: Path, name: str, message: str) -> None:
    (folder / name).unlink()
    with pytest.raises(CheckpointError, match=message):
        load_pretrained(folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not valid JSON"),
        ("", "is not valid JSON"),
        ("[1]", "is not a Semantic-CC configuration; give another"),
        ('{"format": 99}', "has format 99, but this version reads formats 1 to 4; update semantic-cc"),
        ('{"format": 1}', "'model' is missing or wrong"),
        ('{"format": 1, "model": [1]}', "is missing or wrong"),
        ('{"format": 2, "name": "x", "model": {}}', "'merged' is missing or wrong"),
        ('{"format": 1, "name": "x", "model": {"widht": 3}, "foundation": {}}', "'widht' is not accepted"),
        ('{"format": 1, "name": "x", "model": {}, "foundation": {}}', "'llm' is missing or wrong"),
    ],
)
def test_a_wrong_configuration(folder: Path, text: str, message: str) -> None:
    (folder / "config.json").write_text(text)
    with pytest.raises(CheckpointError, match=message) as caught:
        load_pretrained(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["nope", "no/such/folder", ""])
def test_an_unknown_name(name: str) -> None:
    with pytest.raises(CheckpointError, match=r"config\.json|no model") as caught:
        load_pretrained(name)
    assert "\n" not in str(caught.value)


def test_another_language_model_than_the_accepted(folder: Path) -> None:
    edit(folder, lambda content: content["foundation"]["llm"].update(accepted_digests=["aaa"]))
    with pytest.raises(
        CheckpointError,
        match=r"trained on a random with sha256 aaa, here is random-32x2-0; --allow-foundation",
    ):
        load_pretrained(folder)


def test_a_known_language_model_is_named_with_all_its_digests(
    build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = replace(FOUNDATIONS["smollm2-135m-instruct"], digests=("from the hub", "random-32x2-0"))
    monkeypatch.setitem(FOUNDATIONS, "random", known)
    folder = save_pretrained(build(shaken=False), tmp_path / "saved", name="mine")
    named = json.loads((folder / "config.json").read_text())["foundation"]["llm"]
    assert named == {"name": "random", "accepted_digests": ["from the hub", "random-32x2-0"]}
    monkeypatch.setitem(FOUNDATIONS, "random", replace(known, digests=("from the hub",)))
    folder = save_pretrained(build(shaken=False), tmp_path / "saved", name="mine")
    named = json.loads((folder / "config.json").read_text())["foundation"]["llm"]
    assert named["accepted_digests"] == ["random-32x2-0"]  # what was used, and that alone


def test_building_needs_no_checkpoint(folder: Path, pair: Images) -> None:
    """What load_pretrained builds on is what build_model builds."""
    loaded, info = load_pretrained(folder, merge=False)
    assert set(build_model(info.config).state_dict()) == set(loaded.state_dict())
