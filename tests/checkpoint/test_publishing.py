"""What is published: foundations by name and digest, merged models, older formats, the hub, the card."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import foundations as files
import huggingface_hub
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.testing import assert_close

from semantic_cc import SemanticCC
from semantic_cc.checkpoint import migrate, serialization
from semantic_cc.checkpoint.build import build_model
from semantic_cc.checkpoint.serialization import load_pretrained, save_pretrained
from semantic_cc.config import load_config
from semantic_cc.errors import CheckpointError, ConfigError, FoundationWeightsError, InputError
from semantic_cc.foundation.parts import read_part, write_part
from semantic_cc.model.semantic_cc import SemanticCCModel

Images = Callable[..., tuple[torch.Tensor, torch.Tensor]]


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A cache with a tiny SAM, BLIP-2 and MiniGPT-4 under the names that the paper's preset uses."""
    monkeypatch.setenv("SEMANTIC_CC_CACHE", str(tmp_path / "cache"))
    fill(tmp_path)
    return tmp_path / "cache"


def fill(folder: Path) -> None:
    files.hf_sam().save_pretrained(folder / "sam")
    files.hf_blip2().save_pretrained(folder / "blip2")
    files.save_pickle(files.minigpt4(), folder / "minigpt4.pth")
    for name, source in {"sam-vit-large": "sam", "blip2": "blip2", "minigpt4-7b": "minigpt4.pth"}.items():
        write_part(read_part(folder / source, pickles=True), folder / "cache" / f"{name}.safetensors")


def like_the_paper(**options: Any) -> SemanticCCModel:
    """Frozen SAM and Q-Former, the enhancer started from MiniGPT-4, LoRA that is not at its zero start."""
    sections = {
        "encoder": {
            **files.SAM_OURS,
            "image_size": 64,
            "adapt": "lora",
            "weights": "sam-vit-large",
            "bcsf": True,
        },
        "qformer": {**files.QFORMER_OURS, "frozen": True, "weights": "blip2"},
        "enhancer": {"weights": "minigpt4-7b"},
    }
    for section, values in options.items():
        sections[section] = {**sections.get(section, {}), **values}
    model = build_model(load_config("tiny", {"model": sections}).model)
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    return model.eval()


@pytest.fixture
def folder(cache: Path, tmp_path: Path) -> Path:
    return save_pretrained(
        like_the_paper(),
        tmp_path / "saved",
        name="mine",
        training={"seed": 3, "phases": {"llm": {"epochs": 4, "data": ["a", "b"]}}},
    )


def content_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "config.json").read_text())


def predicted(model: SemanticCCModel, pair: Images) -> tuple[Any, ...]:
    answer = model.predict(*pair())
    return answer.class_probabilities, answer.change_probability, answer.heatmap, answer.sentences


def test_frozen_foundations_are_named_and_left_out(folder: Path, cache: Path) -> None:
    stored = set(load_file(folder / "model.safetensors"))
    frozen = (
        "encoder.vision.",
        "caption_decoder.llm.",
        "caption_decoder.qformer.",
        "caption_decoder.queries",
    )
    assert not [
        name for name in stored if name.startswith((*frozen, "caption_decoder.ln")) and "lora_" not in name
    ]
    assert {"caption_decoder.enhancer.project.weight", "caption_decoder.project.weight"} <= stored
    content = content_of(folder)
    digests = {
        part: read_part(cache / f"{name}.safetensors").digest
        for part, name in (("encoder", "sam-vit-large"), ("qformer", "blip2"))
    }
    assert content["foundation"] == {
        "encoder": {"name": "sam-vit-large", "accepted_digests": [digests["encoder"]]},
        "qformer": {"name": "blip2", "accepted_digests": [digests["qformer"]]},
        "llm": {"name": "random", "accepted_digests": ["random-32x2-0"]},
    }
    assert content["model"]["enhancer"]["weights"] is None  # only a start


def test_save_load_describe_is_bit_identical(cache: Path, tmp_path: Path, pair: Images) -> None:
    model = like_the_paper()
    folder = save_pretrained(model, tmp_path / "saved", name="mine")
    loaded = load_pretrained(folder, merge=False)[0]
    for mine, theirs in zip(predicted(model, pair), predicted(loaded, pair), strict=True):
        assert torch.equal(mine, theirs) if isinstance(mine, torch.Tensor) else mine == theirs


@pytest.mark.parametrize("part", ["qformer", "encoder"])
def test_what_trains_is_kept_whole(part: str, cache: Path, tmp_path: Path, pair: Images) -> None:
    trains = {"qformer": {"frozen": False}, "encoder": {"adapt": "full"}}[part]
    model = like_the_paper(**{part: trains})
    folder = save_pretrained(model, tmp_path / "whole", name="whole")
    assert part not in content_of(folder)["foundation"]
    assert content_of(folder)["model"][part]["weights"] is None
    names = {"qformer": "caption_decoder.ln_vision.weight", "encoder": "encoder.vision.pos_embed"}
    assert names[part] in load_file(folder / "model.safetensors")
    again = load_pretrained(folder, merge=False)[0]
    assert torch.equal(predicted(model, pair)[2], predicted(again, pair)[2])


def other_sam(cache: Path, tmp_path: Path) -> str:
    """Puts another SAM into the cache under the same name; its digest."""
    files.shaken(sam := files.hf_sam(), seed=9)
    sam.save_pretrained(tmp_path / "other")
    part = read_part(tmp_path / "other")
    write_part(part, cache / "sam-vit-large.safetensors")
    return part.digest


def test_another_foundation_is_refused_with_both_digests(folder: Path, cache: Path, tmp_path: Path) -> None:
    trained = content_of(folder)["foundation"]["encoder"]["accepted_digests"][0]
    here = other_sam(cache, tmp_path)
    with pytest.raises(
        CheckpointError,
        match=rf"trained on a sam-vit-large with sha256 {trained}, here is {here}; --allow-foundation-mismatch",
    ) as caught:
        load_pretrained(folder)
    assert "\n" not in str(caught.value)


def test_a_mismatch_that_is_allowed_is_kept_in_the_report(
    folder: Path, cache: Path, tmp_path: Path, cli: Callable, image_paths: tuple[Path, Path]
) -> None:
    here = other_sam(cache, tmp_path)
    words = ["describe", *image_paths, "--model", folder]
    assert cli(*words).code == 2
    outcome = cli(*words, "--allow-foundation-mismatch", "--out", tmp_path / "out")
    assert outcome.code == 0 and "note: mine was trained on a sam-vit-large with sha256" in outcome.stdout
    (note,) = json.loads((tmp_path / "out" / "report.json").read_text())["notes"]
    assert note.endswith(f"here is {here}")


def test_a_mismatch_is_noted_in_scores_too(
    tiny_folder: Path, world_folder: Path, tmp_path: Path, cli: Callable
) -> None:
    folder = shutil.copytree(tiny_folder, tmp_path / "tiny")
    content = content_of(folder)
    content["foundation"]["llm"]["accepted_digests"] = ["another"]
    (folder / "config.json").write_text(json.dumps(content))
    words = ["evaluate", "--model", folder, "--data", world_folder, "--out", tmp_path / "scores.json"]
    assert cli(*words).code == 2
    assert cli(*words, "--allow-foundation-mismatch").code == 0
    notes = json.loads((tmp_path / "scores.json").read_text())["notes"]
    assert notes[0] == "tiny was trained on a random with sha256 another, here is random-32x2-0"


def test_foundations_that_are_gone(folder: Path, cache: Path) -> None:
    (cache / "blip2.safetensors").unlink()
    with pytest.raises(FoundationWeightsError, match="weights fetch blip2"):
        load_pretrained(folder)


def test_merged_is_unmerged(folder: Path, cache: Path, tmp_path: Path, pair: Images) -> None:
    """Within 1e-5, and without any foundation file."""
    adapted = load_pretrained(folder, merge=False)[0]
    expected = predicted(adapted, pair)
    merged = save_pretrained(adapted, tmp_path / "merged", name="whole", merge=True)
    for path in cache.iterdir():
        path.unlink()
    loaded, info = load_pretrained(merged)
    assert not [name for name in loaded.state_dict() if "lora_" in name]
    assert (info.name, info.notes) == ("whole", ()) and info.foundation["encoder"].name == "sam-vit-large"
    got = predicted(loaded, pair)
    for mine, theirs in zip(got[:3], expected[:3], strict=True):
        assert_close(mine, theirs, rtol=0, atol=1e-5)
    assert got[3] == expected[3]
    assert {path.name for path in merged.iterdir()} == {
        "config.json",
        "model.safetensors",
        "README.md",
        "llm",
    }
    assert all(
        path.stat().st_mode & 0o044 == 0o044 for path in merged.rglob("*.safetensors")
    )  # others may read
    assert "adapters merged, language model included" in (merged / "README.md").read_text()


def test_fewer_layers_of_the_language_model(cache: Path, tmp_path: Path, pair: Images) -> None:
    model = like_the_paper(llm={"random_layers": 3, "layers": [0, 2]})
    assert len(model.llm.get_decoder().layers) == 2
    expected = predicted(model, pair)
    saved = save_pretrained(model, tmp_path / "saved", name="short", training={})
    merged = save_pretrained(model, tmp_path / "merged", name="short", merge=True)
    for folder in (saved, merged):  # a merged model's own language model has the kept layers only
        loaded, info = load_pretrained(folder)
        assert info.config.llm.layers == (0, 2) and len(loaded.llm.get_decoder().layers) == 2
        for mine, theirs in zip(predicted(loaded, pair)[:3], expected[:3], strict=True):
            assert_close(mine, theirs, rtol=0, atol=1e-5)
    other = load_config("tiny", {"model": {"llm": {"random_layers": 3, "layers": [0, 3]}}}).model
    with pytest.raises(ConfigError, match="names layer 3; the language model has layers 0 to 2"):
        build_model(other)


def test_a_merged_model_s_digest_covers_its_language_model(folder: Path, tmp_path: Path) -> None:
    merged = save_pretrained(load_pretrained(folder)[0], tmp_path / "merged", name="whole", merge=True)
    digest = load_pretrained(merged)[1].digest
    state = load_file(merged / "llm" / "model.safetensors")
    state["model.norm.weight"] += 1
    save_file(state, merged / "llm" / "model.safetensors", metadata={"format": "pt"})
    assert load_pretrained(merged)[1].digest != digest


def test_the_public_class_saves_what_it_loaded(
    folder: Path, tmp_path: Path, image_paths: tuple[Path, Path]
) -> None:
    model = SemanticCC.from_pretrained(folder, merge=False)
    again = SemanticCC.from_pretrained(model.save_pretrained(tmp_path / "again"), merge=False)
    assert again.info.digest == model.info.digest and again.info.training["seed"] == 3
    assert again.describe(*image_paths).sentences == model.describe(*image_paths).sentences
    merged = SemanticCC.from_pretrained(folder)
    with pytest.raises(InputError, match="load with merge=False, or save with merge=True"):
        merged.save_pretrained(tmp_path / "lost")
    merged.save_pretrained(tmp_path / "whole", merge=True, dtype="bfloat16")
    stored = load_file(tmp_path / "whole" / "model.safetensors")
    assert {value.dtype for value in stored.values()} == {torch.bfloat16}


def test_the_card(folder: Path) -> None:
    card = (folder / "README.md").read_text()
    head = card.split("---")[1]
    assert "license: other" in head and "base_model:\n- facebook/sam-vit-large" in head
    assert "the foundation weights (sam-vit-large, blip2, random) are not included" in card
    digest = content_of(folder)["foundation"]["qformer"]["accepted_digests"][0]
    assert f"- Q-Former, queries and ln_vision: blip2, sha256 {digest}; licence: BSD-3-Clause" in card
    assert "- seed: 3\n- phases:\n  - llm: epochs 4; data a, b" in card and 'from_pretrained("mine")' in card


def as_format_1(folder: Path, sam: bool) -> None:
    """config.json as the first version wrote it."""
    content = content_of(folder)
    del content["merged"]
    for section in ("qformer", "enhancer"):
        del content["model"][section]["weights"]
    content["foundation"] = {"llm": content["foundation"]["llm"]}
    if not sam:
        content["model"]["encoder"]["weights"] = None
    (folder / "config.json").write_text(json.dumps({**content, "format": 1}))


@pytest.mark.parametrize("sam", [False, True])
def test_format_1_is_read(sam: bool, cache: Path, tmp_path: Path, pair: Images) -> None:
    qformer = {"frozen": False, "weights": None}
    encoder = {"weights": "sam-vit-large" if sam else None}
    model = like_the_paper(qformer=qformer, encoder=encoder)
    folder = save_pretrained(model, tmp_path / "old", name="old")
    as_format_1(folder, sam)
    loaded, info = load_pretrained(folder, merge=False)
    assert torch.equal(predicted(model, pair)[2], predicted(loaded, pair)[2])
    assert len(info.notes) == sam
    for note in info.notes:
        assert note.startswith("config.json of format 1 was read as format 2: ")
        assert note.endswith("no digest of SAM's weights, so they are not checked")


def test_every_format_has_its_step(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sorted(migrate.STEPS) == list(range(1, migrate.FORMAT))
    last = migrate.FORMAT
    monkeypatch.setattr(migrate, "FORMAT", last + 2)
    monkeypatch.setitem(migrate.STEPS, last, lambda content: ({**content, "a": 1}, "a is new"))
    monkeypatch.setitem(
        migrate.STEPS, last + 1, lambda content: ({**content, "a": content["a"] + 1}, "a grows")
    )
    given = {"format": 1, "model": {}}
    migrated = migrate.migrate_config(given)
    assert (migrated.content["format"], migrated.content["a"]) == (last + 2, 2)
    assert [note.split(": ")[1] for note in migrated.notes] == ["a is new", "a grows"]
    assert given == {"format": 1, "model": {}}


def test_the_shipped_model_needs_no_note_to_its_user() -> None:
    from importlib import resources

    shipped = Path(str(resources.files("semantic_cc") / "pretrained"))
    for folder in shipped.iterdir():
        assert not migrate.migrate_config(content_of(folder)).notes
        assert sum(path.stat().st_size for path in folder.iterdir()) < 32e6


def test_a_model_from_the_hub(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(
        huggingface_hub,
        "snapshot_download",
        lambda name, **options: asked.append((name, options)) or str(folder),
    )
    assert load_pretrained("someone/model")[1].name == "mine"
    assert asked == [
        ("someone/model", {"allow_patterns": ["config.json", "model.safetensors", "README.md", "llm/*"]})
    ]


def test_a_model_that_the_hub_has_not(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> None:
        raise ConnectionError("no\nnetwork")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", offline)
    with pytest.raises(
        CheckpointError, match=r"no model 'someone/model': .* cannot be downloaded from the hub"
    ) as caught:
        load_pretrained("someone/model")
    assert "\n" not in str(caught.value)


class Api:
    """A hub that keeps what is uploaded."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.made: list[tuple[str, bool]] = []
        self.files: dict[str, bytes] = {}

    def create_repo(self, name: str, private: bool, exist_ok: bool) -> str:
        if self.error:
            raise self.error
        self.made.append((name, private))
        return f"hub:{name}"

    def upload_folder(self, repo_id: str, folder_path: Path, allow_patterns: list[str]) -> None:
        paths = (path for path in Path(folder_path).rglob("*") if path.is_file())
        self.files = {str(path.relative_to(folder_path)): path.read_bytes() for path in paths}


def test_publishing(folder: Path, tmp_path: Path, cli: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    api = Api()
    monkeypatch.setattr(huggingface_hub, "HfApi", lambda: api)
    out = tmp_path / "out"
    outcome = cli(
        "weights", "publish", folder, "--out", out, "--name", "better", "--push", "someone/model", "--private"
    )
    assert outcome.code == 0 and "the model is at hub:someone/model" in outcome.stdout
    assert api.made == [("someone/model", True)]
    assert set(api.files) == {"config.json", "model.safetensors", "README.md"}
    assert b'from_pretrained("someone/model")' in api.files["README.md"]
    assert load_pretrained(out)[1].name == "better"
    assert load_pretrained(out)[1].digest == load_pretrained(folder)[1].digest
    outcome = cli("weights", "publish", folder, "--push", "someone/model", "--merge")
    assert outcome.code == 0 and "llm/model.safetensors" in api.files


def test_another_type_for_the_language_model(
    tiny_folder: Path,
    tmp_path: Path,
    cli: Callable,
    image_paths: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []
    load = serialization.load_llm
    monkeypatch.setattr(
        serialization, "load_llm", lambda config, dtype: asked.append(dtype) or load(config, dtype)
    )
    for flags, dtype in (([], None), (["--llm-dtype", "bfloat16"], "bfloat16")):
        assert cli("describe", *image_paths, "--model", tiny_folder, *flags).code == 0
        assert asked.pop() == dtype


def test_publishing_that_cannot_be(folder: Path, cli: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub, "HfApi", lambda: Api(PermissionError("no\nrights")))
    for argv, code, words in [
        ([], 2, "give --out DIR, or --push OWNER/NAME"),
        (
            ["--push", "model", "--out", folder.parent / "no"],
            2,
            "--push model: is not a repository on the hub",
        ),
        (["--push", "someone/model"], 1, "as someone/model: no rights; log in with 'hf auth login'"),
    ]:
        outcome = cli("weights", "publish", folder, *argv)
        assert (outcome.code, outcome.stdout) == (code, "")
        assert outcome.stderr.count("\n") == 1 and words in outcome.stderr
    assert not (folder.parent / "no").exists()
    with pytest.raises(InputError, match="'model' is not a repository on the hub"):
        SemanticCC.from_pretrained(folder, merge=False).push_to_hub("model")
