"""The frozen encoder of scale levir-dev: from the packaged one, trained once for all rows and seeds."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from semantic_cc.config import Config
from semantic_cc.reproduce import paper_curves, shared_encoder
from semantic_cc.reproduce.experiment_runs import ReproductionSetup, run_name
from semantic_cc.reproduce.paper_tables import OURS, TABLES
from semantic_cc.reproduce.scales import SCALES, configured, shared_encoder_run
from semantic_cc.reproduce.shared_encoder import on_shared_encoder, shared_encoder_name
from semantic_cc.training.stages import stages_of

LEVIR = SCALES["levir-dev"]


def config_of(row=OURS, seed: int = 0) -> Config:
    return configured(LEVIR, row, ("data",), seed, {})


@pytest.fixture
def packaged(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A packaged model of two tensors."""
    path = tmp_path / "packaged" / "model.safetensors"
    path.parent.mkdir()
    save_file({"encoder.vision.x": torch.tensor(1.0), "encoder.filters.x": torch.tensor(2.0)}, path)
    monkeypatch.setattr(shared_encoder, "_packaged_weights", lambda: path)
    return path


def test_its_tokens_must_carry_the_masks() -> None:
    start = shared_encoder_run(config_of())
    assert (
        start.model.method == "ttp" and not start.model.encoder.bcsf and start.model.encoder.adapt == "full"
    )
    assert not start.model.change_decoder.laterals
    ((name, phase),) = start.phases.items()
    assert name == "change_detection" and phase.epochs == 6
    assert [stage.name for stage in stages_of(phase.stages, start.model)] == ["change"]
    assert config_of().model.change_decoder.laterals is False


def test_every_row_and_seed_shares_it(packaged: Path) -> None:
    rows = [row for table in TABLES.values() for row in table.rows]
    assert len({shared_encoder_name(config_of(row), "data") for row in rows}) == 1
    assert shared_encoder_name(config_of(seed=1), "data") == shared_encoder_name(config_of(), "data")
    assert shared_encoder_name(config_of(), "other data") != shared_encoder_name(config_of(), "data")


def test_a_run_depends_on_the_packaged_encoder_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def name(file: str, *, encoder: float, llm: float) -> str:
        path = tmp_path / file
        save_file({"encoder.vision.x": torch.tensor(encoder), "llm.x": torch.tensor(llm)}, path)
        monkeypatch.setattr(shared_encoder, "_packaged_weights", lambda: path)
        return run_name(config_of(), "data")

    first = name("first", encoder=1.0, llm=1.0)
    assert name("other llm", encoder=1.0, llm=2.0) == first
    assert name("other encoder", encoder=2.0, llm=1.0) != first


def test_it_is_trained_once_from_the_packaged_one(
    packaged: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    trained: list[float] = []

    def train(config: Config, resume: bool) -> Path:
        assert resume and config.hardware.devices == 1 and config.model.encoder.weights is not None
        start = load_file(config.model.encoder.weights)
        assert list(start) == ["x"]
        trained.append(float(start["x"]))
        model = Path(config.out) / "model"
        model.mkdir(parents=True)
        save_file(
            {"encoder.vision.x": torch.tensor(3.0), "change_decoder.x": torch.tensor(4.0)},
            model / "model.safetensors",
        )
        return model

    monkeypatch.setattr(shared_encoder, "train", train)
    said: list[str] = []
    out = tmp_path / "out"
    first = on_shared_encoder(config_of(), out, "data", said.append)
    second = on_shared_encoder(config_of(seed=1), out, "data", said.append)
    assert trained == [1.0] and len(said) == 1 and "the encoder that all runs start from" in said[0]
    assert first.model.encoder.weights == second.model.encoder.weights
    assert {name: float(x) for name, x in load_file(str(first.model.encoder.weights)).items()} == {"x": 3.0}
    assert first.train.features == str(out.resolve() / "features")
    assert replace(first.model.encoder, weights=None) == config_of().model.encoder


def test_a_run_on_fewer_pairs_reads_the_encoder_of_all_pairs(
    packaged: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(ReproductionSetup, "digest", lambda self, data, *splits: " ".join(data))
    setup = ReproductionSetup(scale="levir-dev", data=("data",), test=("x",), masks=("x",), out=tmp_path)
    kept = tmp_path / "starts" / str(shared_encoder_name(config_of(), "data")) / "encoder.safetensors"
    kept.parent.mkdir(parents=True)
    kept.touch()
    same = paper_curves.same_encoder(setup, config_of())
    few = configured(LEVIR, replace(OURS, overrides=same), ("few",), 0, {})
    assert few.model.encoder.weights == str(kept)
    assert shared_encoder_name(few, "few") is None  # trains none of its own
    assert paper_curves.same_encoder(replace(setup, scale="small"), config_of()) == {}
