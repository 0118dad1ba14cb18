"""The pipeline: from a YAML file to scores, phases one after the other, kills in three of them, what it refuses."""

import csv
import json
import shutil
import signal
import subprocess
import sys
import time

import layouts
import pytest
import torch
from phases import ALL, TINY, multitask, phase_of

from semantic_cc.checkpoint.serialization import load_pretrained
from semantic_cc.config import load_config, to_yaml
from semantic_cc.errors import ConfigError, DataError, OutputError
from semantic_cc.evaluation.evaluate import evaluate
from semantic_cc.training.initialisation import starting_model
from semantic_cc.training.pipeline import prepared, selected, train


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_from_yaml_to_scores(precision, data, tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        f"preset: tiny\ndata: {data}\nout: {tmp_path / 'run'}\ntrain: {{precision: {precision}}}\n"
    )
    config = load_config(recipe, multitask())
    trained = train(config, resume=True)  # starts anew where there is nothing to resume
    assert load_config(tmp_path / "run" / "config.yaml") == config
    _, info = load_pretrained(trained)
    own = info.training["phases"]["multitask"]
    assert (info.name, own["step"], info.training["seed"]) == ("tiny", 9, 0)
    seen = []
    result = evaluate(trained, data, limit=4, batch=3, progress=lambda *at: seen.append(at), meteor=False)
    report = result.to_json(predictions=True)
    assert seen == [(3, 4), (4, 4)]
    assert (report["pairs"], report["tiles"], report["model"]["digest"]) == (4, "32x32", info.digest)
    assert report["captions"]["protocol"] == "word"
    assert {"building", "road", "change", "accuracy"} <= report["change"].keys()
    assert report["change"]["pixels"] == 4 * 32 * 32
    assert len(report["predictions"]) == 4
    json.dumps(report)


def test_captions_alone_train_without_labels(data, tmp_path):
    for split in ("train", "test"):
        shutil.rmtree(data / "images" / split / "label")
    config = load_config({"preset": "tiny", "data": str(data), "out": str(tmp_path / "run"), **multitask()})
    with pytest.raises(DataError, match="stage change needs items with a label"):
        train(config)
    assert not (tmp_path / "run").exists()
    trained = train(
        load_config(
            {
                "preset": "tiny",
                **multitask(),
                "data": str(data),
                "out": str(tmp_path / "run"),
                "model": {"change_task": False},
            }
        )
    )
    report = evaluate(trained, data, meteor=False).to_json()
    assert report["change"] is None
    assert report["notes"] == [
        "change detection is not scored: the model has no mask, or the dataset no labels"
    ]
    assert report["captions"]["all"]["count"] == 6


def test_labels_alone_are_scored_without_sentences(data, tmp_path):
    trained = train(
        load_config(
            {
                "preset": "tiny",
                **multitask(),
                "data": str(data),
                "out": str(tmp_path / "run"),
                "model": {"change_decoder": {"classes": 1}},
            }
        )
    )
    (data / "LevirCCcaptions.json").unlink()
    report = evaluate(trained, data, meteor=False).to_json()
    assert report["captions"] is None
    assert report["change"].keys() == {"building", "pixels"}
    assert report["notes"] == [
        "6 pairs without reference sentences are left out of the captions and the flag"
    ]


def test_training_goes_on_from_a_trained_model(data, tmp_path):
    first = train(load_config("tiny", {"data": str(data), "out": str(tmp_path / "first"), **multitask()}))
    more = {"data": str(data), "out": str(tmp_path / "more"), "train": {"init": str(first)}, **multitask()}
    start, _ = load_pretrained(first, merge=False)
    built = starting_model(load_config("tiny", more))
    assert all(torch.equal(built.state_dict()[name], value) for name, value in start.state_dict().items())
    again, _ = load_pretrained(train(load_config("tiny", more)), merge=False)
    moved = [not torch.equal(again.state_dict()[n], v) for n, v in start.state_dict().items()]
    assert any(moved)
    other = load_config("tiny", {**more, "model": {"change_decoder": {"width": 8}}})
    with pytest.raises(ConfigError, match=r"train\.init .* is another model"):
        starting_model(other)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"encoder": {"adapt": "lora"}}, "adapt lora freezes SAM; name its weights"),
        ({"qformer": {"frozen": True}}, "keeps a Q-Former at its random start"),
    ],
)
def test_a_part_frozen_at_its_random_start_is_refused(model, message, data, tmp_path):
    config = load_config(
        "tiny", {"data": str(data), "out": str(tmp_path / "run"), "model": model, **multitask()}
    )
    with pytest.raises(ConfigError, match=message):
        train(config)
    assert not (tmp_path / "run").exists()


def test_change_detection_asks_for_nothing_that_captions_need(data, tmp_path):
    pieces = {"out": str(tmp_path / "run"), "model": {"qformer": {"frozen": True}}}
    config = load_config("tiny", {"data": str(data), **pieces, **multitask(only=("change",), items=2)})
    assert train(config).is_dir()
    assert {row["stage"] for row in csv.DictReader(phase_of(tmp_path / "run").log.open())} == {"change"}


def test_joined_datasets_give_each_stage_what_their_items_have(tmp_path):
    cd = layouts.write_levir_cd(tmp_path / "cd", side=32)
    mci = layouts.write_levir_mci(tmp_path / "mci")
    own = layouts.write_own(tmp_path / "own")
    for name in ("a.png", "c.png"):
        (own / "label" / name).unlink()
    batches = {name: {"batch": 8} for name in ALL}
    overrides = {"data": [str(cd), str(mci), str(own)], "out": str(tmp_path / "run")}
    overrides |= multitask(stages=batches)
    config = load_config("tiny", overrides)
    with pytest.raises(
        DataError, match=r"own/a\.png: has no change flag \(2 captioned pairs have none\), which"
    ):
        train(config)
    assert not (tmp_path / "run").exists()
    trained = train(load_config("tiny", overrides | {"model": {"flag_head": False}}))
    with phase_of(tmp_path / "run").log.open() as log:
        assert [row["stage"] for row in csv.DictReader(log)] == ["change", "caption", "joint"]
    report = evaluate(trained, [cd, mci], meteor=False).to_json()
    assert report["pairs"] == 4
    assert report["change"].keys() == {"building", "pixels"}
    assert report["change"]["pixels"] == 4 * 32 * 32
    assert "roads are not labelled in every mask: only building change is scored" in report["notes"]
    assert "1 pairs without reference sentences are left out of the captions and the flag" in report["notes"]
    assert report["data"] == f"{cd} {mci}"


# --- phases one after the other ---------------------------------------------------------------------


@pytest.fixture
def whole(world_folder, tmp_path):
    """Name -> all phases of the preset tiny, one step a phase but for the staged ones."""

    def make(name="run", **more):
        few = {"stages": {stage: {"items": 2} for stage in ALL}}
        phases = {"multitask": few}
        settings = {"data": str(world_folder), "out": str(tmp_path / name), "phases": phases}
        return load_config("tiny", {**settings, "hardware": {"accelerator": "cpu"}, **more})

    return make


def test_phases_run_in_order_each_from_the_one_before(whole, tmp_path, capsys):
    folder = train(whole())
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("phase ")]
    assert [line.split()[1] for line in said] == [f"{name}:" for name in TINY]
    assert said[0].endswith("starts from foundation weights")
    for line, before in zip(said[1:], TINY, strict=False):
        assert line.endswith(f"starts from {phase_of(tmp_path / 'run', before).model}")
    _, info = load_pretrained(folder, merge=False)
    assert list(info.training["phases"]) == list(TINY)
    assert folder == tmp_path / "run" / "model"
    last = phase_of(tmp_path / "run", "calibration").model / "model.safetensors"
    assert (folder / "model.safetensors").read_bytes() == last.read_bytes()
    assert not list((tmp_path / "run").rglob("latest.pt"))  # what no phase goes on from any more


def test_one_phase_and_from_one_on(whole, tmp_path):
    expected = (train(whole("whole")) / "model.safetensors").read_bytes()
    with pytest.raises(
        ConfigError, match=r"phase qformer starts from the model of phase change_detection, .*train\.init"
    ):
        train(whole(), phase="qformer")
    for name in TINY[:2]:
        model = train(whole(), phase=name)
        assert model == phase_of(tmp_path / "run", name).model
    assert (train(whole(), first="qformer") / "model.safetensors").read_bytes() == expected
    with pytest.raises(OutputError, match="already holds a run"):
        train(whole(), first="qformer")


def test_a_phase_goes_on_from_any_trained_model(whole, tmp_path):
    first = train(whole("first"), phase="encoder")
    model = train(whole(train={"init": str(first)}), phase="mask_decoder")
    old, new = (load_pretrained(folder, merge=False) for folder in (first, model))
    moved = {
        name
        for name, value in new[0].state_dict().items()
        if not torch.equal(value, old[0].state_dict()[name])
    }
    assert moved and all(name.startswith("change_decoder.") for name in moved)
    assert list(new[1].training["phases"]) == ["encoder", "mask_decoder"]


def test_phases_that_do_not_apply_are_left_out():
    assert selected(load_config("tiny")) == list(TINY)
    assert selected(load_config("paper")) == ["multitask"]
    assert selected(load_config("paper+keyword-head")) == ["multitask", "keyword_head"]
    assert selected(load_config("small")) == [n for n in TINY if n not in ("encoder", "mask_decoder")]
    assert selected(load_config("tiny+rsiccformer")) == ["encoder", "multitask"]
    assert selected(load_config("tiny+idet")) == ["change_detection", "multitask"]
    assert selected(load_config("tiny+table2-enhancer"))[:3] == ["encoder", "qformer", "llm"]
    assert selected(load_config("tiny"), first="llm") == list(TINY[3:])
    with pytest.raises(ConfigError, match="no phase 'word'; the configuration has encoder, change_detection"):
        selected(load_config("tiny"), phase="word")


def test_a_compared_method_gets_no_keywords(world_folder):
    few = {"data": str(world_folder), "phases": {"keyword_head": {"min_counts": [2]}}}
    for preset, names in (("tiny+rsiccformer", ["encoder", "multitask"]), ("tiny", list(TINY))):
        assert selected(prepared(load_config(preset, few))) == names


def test_a_finished_phase_is_not_repeated_with_another_configuration(whole):
    train(whole(), phase="encoder")
    changed = whole(phases={"encoder": {"lr": 0.5}})
    with pytest.raises(ConfigError, match=r"cannot resume: phases\.encoder\.lr was None .* and is 0\.5 now"):
        train(changed, resume=True)


@pytest.mark.parametrize("victim", ["qformer", "multitask", "keyword_head"])
def test_a_run_killed_in_a_phase_ends_with_the_same_bytes(victim, whole, tmp_path):
    """SIGKILL in a command of its own, once the phase has logged its first step."""
    settings = {"train": {"checkpoint_every": 1, "loggers": []}}
    slow = {"qformer": {"epochs": 6}, "keyword_head": {"epochs": 4}}
    phases = {"multitask": {"epochs": 2, "stages": {stage: {"items": 4} for stage in ALL}}, **slow}
    expected = (train(whole("whole", phases=phases, **settings)) / "model.safetensors").read_bytes()
    described = tmp_path / "run.yaml"
    described.write_text(to_yaml(whole("killed", phases=phases, **settings)))
    command = [sys.executable, "-m", "semantic_cc", "train", "--config", str(described), "--resume", "auto"]
    log = phase_of(tmp_path / "killed", victim).log
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not log.exists() or log.read_text().count("\n") < 3:
        assert process.poll() is None
        time.sleep(0.001)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert not phase_of(tmp_path / "killed", victim).finished.exists()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert (tmp_path / "killed" / "model" / "model.safetensors").read_bytes() == expected
