"""One run = training and evaluation, kept below OUT by what its numbers depend on; what is finished is not repeated.

    OUT/starts/DIGEST/encoder.safetensors     the encoder's pretraining, which runs share
    OUT/runs/DIGEST/first, aligned, train     the run's pretrainings, and the run itself, as `train` leaves it
    OUT/runs/DIGEST/guided                    its model with a trained keyword head, where it has one
    OUT/runs/DIGEST/trained.json              written last: how and where it was trained
    OUT/runs/DIGEST/scores-DIGEST.json        an evaluation

Each of these appears whole or not at all, and a training that was cut off goes on exactly where it was.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

import semantic_cc
from semantic_cc.config import Config, to_dict
from semantic_cc.data.open_dataset import open_dataset
from semantic_cc.errors import ConfigError, DataError, OutputError, SemanticCCError, TrainingError
from semantic_cc.evaluation.evaluate import evaluate
from semantic_cc.files import locked, write_files
from semantic_cc.metrics.meteor import find_java
from semantic_cc.reproduce.paper_tables import Kind, Row
from semantic_cc.reproduce.run_digests import code_digest, data_digest, run_digest, scores_digest
from semantic_cc.reproduce.scales import SCALES, Scale, configured, tasks_of
from semantic_cc.training.devices import device_name
from semantic_cc.training.finetuning.keyword_head import guide
from semantic_cc.training.loop import train
from semantic_cc.training.pretraining.encoder import pretrain
from semantic_cc.training.pretraining.qformer import align
from semantic_cc.training.sampling import schedules_of
from semantic_cc.training.stages import stages_of


@dataclass(frozen=True)
class Workshop:
    """Where runs are made, and from what.

    Attributes:
        scale: name of one of `SCALES`.
        data: training data.
        test: what sentences are scored on (and masks, unless `masks` says another); its test split.
        masks: what masks are scored on.
        out: where everything is kept.
        flags: configuration values for every row.
        meteor: whether METEOR is scored, where there is Java.
        say: told what is being done.
    """

    scale: str
    data: tuple[str, ...]
    test: tuple[str, ...]
    masks: tuple[str, ...]
    out: Path
    flags: dict[str, Any] = field(default_factory=dict)
    meteor: bool = True
    say: Callable[[str], None] = print

    def require_truth(self, kind: Kind) -> None:
        """Refuses data that cannot be scored, before anything is trained.

        Raises:
            DataError: no test pairs, or none with sentences or with masks.
        """
        data = self.test if kind == "captions" else self.masks
        pairs = open_dataset(data, "test")
        known = any(pairs.references.values()) if kind == "captions" else any(pairs.labelled)
        if not known:
            what, flag = ("sentences", "--test") if kind == "captions" else ("masks", "--masks")
            raise DataError(
                f"{' '.join(data)}: no test pair has {what} to score; name other data with {flag}"
            )

    def digest(self, data: tuple[str, ...], *splits: str) -> str:
        """The digest of some splits of a dataset."""
        return data_digest(data, splits, self.out / "data.json")


@dataclass(frozen=True)
class Run:
    """A finished training.

    Attributes:
        folder: OUT/runs/DIGEST.
        config: what `train` was given.
        facts: content of trained.json: ``code``, ``version``, ``device``, ``pairs`` (visited in training).
    """

    folder: Path
    config: Config
    facts: dict[str, Any]

    @property
    def model(self) -> Path:
        """The model after the last epoch, its keyword head trained where it has one; no split chose it."""
        return self.folder / ("guided" if self.config.model.keywords else "train/model")


def trained(shop: Workshop, row: Row, seed: int, name: str) -> Run:
    """The run of a row, trained as far as it is not.

    Args:
        shop: where.
        row: what.
        seed: of initial weights, sampling and dropout.
        name: of the run, for people.

    Raises:
        As `train`, `pretrain` and `align`; OutputError: OUT holds something else than runs.
    """
    scale = SCALES[shop.scale]
    config = configured(scale, row, shop.data, seed, shop.flags)
    if config.hardware.nodes > 1:
        raise ConfigError("configuration: reproduce runs on one machine; hardware.nodes must be 1")
    data = shop.digest(shop.data, "train", "val")
    before = pretrainings_of(scale, config)
    start = _start_digest(config, data, scale.cover_epochs)
    folder = shop.out / "runs" / run_digest(config, data, encoder=start, **asdict(before))
    record = folder / "trained.json"
    config = _at(config, folder / "train")
    if record.exists():
        shop.say(f"{name}: trained already")
        return Run(folder, config, json.loads(record.read_text()))
    with _alone(folder) as lock:
        if not record.exists():  # another process may have just finished it
            shop.say(f"{name}: training in {folder}")
            if start is not None:
                config = _with_encoder(config, _pretrained_encoder(shop, config, start, scale.cover_epochs))
            pairs = _steps(config, folder, before, lock)
            facts = {
                "name": name, "seed": seed, "version": semantic_cc.__version__, "code": code_digest(), "data": data,
                "device": device_name(config.hardware), "pairs": pairs, "config": to_dict(config),
            }  # fmt: skip
            _write(record, facts)
    return Run(folder, config, json.loads(record.read_text()))


def scored(shop: Workshop, run: Run, kind: Kind, name: str) -> dict[str, Any]:
    """The evaluation of a run, made where it is not there: `evaluate`'s report with ``predictions``.

    Args:
        shop: on what data.
        run: the run.
        kind: what is wanted of it; where both are scored on the same data they are one evaluation.
        name: of the run, for people.

    Raises:
        As `evaluate`.
    """
    data = shop.test if kind == "captions" else shop.masks
    says = tasks_of(run.config)[1] and (kind == "captions" or data == shop.test)
    meteor = says and shop.meteor and find_java() is not None
    digest = shop.digest(data, "train", "test")  # a baseline reads the training sentences
    path = run.folder / f"scores-{scores_digest(digest, sentences=says, meteor=meteor)}.json"
    if path.exists():
        return dict(json.loads(path.read_text()))
    shop.say(f"{name}: scoring on {' '.join(data)}, split test")
    report = evaluate(run.model, data, meteor=meteor, sentences=says).to_json(predictions=True)
    report["data_digest"] = digest
    _write(path, report)
    return report


@dataclass(frozen=True)
class Pretrainings:
    """What a run does before its stages, as `Scale` has it; 0 and None = nothing of it."""

    first: int = 0
    aligned: int = 0
    batch: int = 0
    read: int = 0
    lr: float | None = None


def pretrainings_of(scale: Scale, config: Config) -> Pretrainings:
    """Stage i alone where both tasks are learned; words and reading where there is a Q-Former to teach."""
    masks, sentences = tasks_of(config)
    if config.model.method != "semantic-cc" or not sentences:
        return Pretrainings()
    first = scale.first_visits if masks else 0
    if config.model.qformer.frozen or not scale.align_epochs:
        return Pretrainings(first)
    return Pretrainings(first, scale.align_epochs, scale.align_batch, scale.read_epochs, scale.aligned_lr)


def _steps(config: Config, folder: Path, before: Pretrainings, lock: int) -> int:
    """A run's pretrainings and the run itself; the pairs that its stages visited."""
    pairs = 0
    if before.first:
        short = replace(
            config.train,
            epochs=1,
            strategy="three_stage",
            change_items=before.first,
            caption_items=0,
            joint_items=0,
        )
        begins = _at(replace(config, train=short), folder / "first")
        pairs = _visits(begins)
        config = _from(config, _train(begins, lock))
    if before.aligned:
        if not (folder / "aligned").exists():
            align(config, folder / "aligned", before.aligned, before.batch, reading=before.read)
        config = _from(config, folder / "aligned")
    if before.lr is not None:
        config = replace(config, optim=replace(config.optim, lr=before.lr))
    model = _train(config, lock)
    if config.model.keywords and not (folder / "guided").exists():
        guide(model, config.data, folder / "guided", seed=config.train.seed)
    return pairs + _visits(config)


def _start_digest(config: Config, data: str, epochs: int) -> str | None:
    """Names the encoder that a run starts from, if its pretraining is ours to do."""
    if not epochs or not config.model.has_sam or config.model.encoder.weights is not None:
        return None
    return run_digest(_cover_config(config), data, cover=epochs)


def _cover_config(config: Config) -> Config:
    """What the encoder's pretraining depends on, the same for every row and seed of a scale."""
    plain = replace(config.model.encoder, bcsf=True, bcsf_after="global")  # no filter is pretrained
    kept = Config(data=config.data, optim=config.optim)
    settings = replace(kept.train, precision=config.train.precision)
    return replace(kept, model=replace(kept.model, encoder=plain), train=settings)


def _pretrained_encoder(shop: Workshop, config: Config, digest: str, epochs: int) -> Path:
    path = shop.out.resolve() / "starts" / digest / "encoder.safetensors"
    with _alone(path.parent):
        if not path.exists():
            shop.say(f"the encoder that all runs start from: pretraining in {path.parent}")
            pretrain(_cover_config(config), path, epochs)
    return path


def _with_encoder(config: Config, weights: Path) -> Config:
    encoder = replace(config.model.encoder, weights=str(weights))
    return replace(config, model=replace(config.model, encoder=encoder))


def _at(config: Config, folder: Path) -> Config:
    return replace(config, out=str(folder.resolve()))


def _from(config: Config, model: Path) -> Config:
    return replace(config, train=replace(config.train, init=str(model.resolve())))


def _train(config: Config, lock: int) -> Path:
    """Trains in this process, or in as many as there are devices; the folder of the model.

    The processes hold `lock` too, so that nobody else begins while one of them outlives this.
    """
    if config.hardware.devices == 1:
        return train(config, resume=True)
    out = Path(config.out)
    described = out.with_name(f"{out.name}.yaml")
    write_files(out.parent, {described.name: yaml.safe_dump(to_dict(config), sort_keys=False).encode()})
    command = [sys.executable, "-m", "semantic_cc", "train", "--config", str(described), "--resume", "auto"]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, pass_fds=(lock,), check=False)
    if done.returncode:
        kind = ConfigError if done.returncode == 2 else TrainingError
        raise kind(f"the training in {out} ended with exit code {done.returncode}; what it said is above")
    return out / "model"


def _visits(config: Config) -> int:
    """Pairs that the stages of a run visit in all."""
    pairs = open_dataset(config.data, "train")
    legs = schedules_of(stages_of(config.train.strategy, config.model), pairs, config.train)
    return config.train.epochs * sum(leg.visits for leg in legs)


@contextmanager
def _alone(folder: Path) -> Iterator[int]:
    """Waits until no other process works in a folder, which it makes; yields the lock's file descriptor."""
    try:
        with locked(folder / ".lock") as file:
            yield file.fileno()
    except OSError as error:
        if isinstance(error, SemanticCCError):
            raise
        raise OutputError(f"{folder}: cannot be written ({error.strerror}); choose another --out") from error


def _write(path: Path, content: dict[str, Any]) -> None:
    write_files(path.parent, {path.name: (json.dumps(content, indent=1) + "\n").encode()})
