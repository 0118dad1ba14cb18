"""One run = training and evaluation, stored below OUT by a digest of everything its numbers depend on.

    OUT/starts, OUT/features                  the encoder that runs share, see `shared_encoder`
    OUT/runs/DIGEST/train                     the output folder of `train`
    OUT/runs/DIGEST/trained.json              written last: how and where the run was trained
    OUT/runs/DIGEST/scores-DIGEST.json        an evaluation

Finished runs are not repeated. Files are written atomically, and an interrupted training resumes exactly.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import semantic_cc
from semantic_cc.config import Config, to_dict, to_yaml
from semantic_cc.data.open_dataset import open_dataset
from semantic_cc.errors import ConfigError, DataError, TrainingError
from semantic_cc.evaluation.evaluate import evaluate
from semantic_cc.files import write_files
from semantic_cc.metrics.meteor import find_java
from semantic_cc.reproduce.kept_evaluation import KeptEvaluation, read_evaluation
from semantic_cc.reproduce.paper_tables import Kind, Row
from semantic_cc.reproduce.run_digests import code_digest, data_digest, run_digest, scores_digest
from semantic_cc.reproduce.scales import MAIN, SCALES, configured, tasks_of
from semantic_cc.reproduce.shared_encoder import on_shared_encoder, only_process, shared_encoder_name
from semantic_cc.training.devices import device_name
from semantic_cc.training.pipeline import train
from semantic_cc.training.sampling import schedules_of
from semantic_cc.training.state import PhaseFolder


@dataclass(frozen=True, kw_only=True)
class ReproductionSetup:
    """The settings that all runs of a reproduction share.

    Attributes:
        scale: name of one of `SCALES`.
        data: folders of the training data.
        test: folders whose test split the sentences are scored on.
        masks: folders whose test split the masks are scored on.
        scenes: folders in the layout of LEVIR-CD whose whole test scenes the masks are scored on as well.
        out: folder of the runs, tables and figures.
        flags: configuration values for every row.
        meteor: whether METEOR is scored, if Java is installed.
        say: called with a line for each training and evaluation.
    """

    scale: str
    data: tuple[str, ...]
    test: tuple[str, ...]
    masks: tuple[str, ...]
    out: Path
    scenes: tuple[str, ...] = ()
    flags: dict[str, Any] = field(default_factory=dict)
    meteor: bool = True
    say: Callable[[str], None] = print

    def scored_data(self, kind: Kind) -> tuple[str, ...]:
        """The data whose test split sentences or masks are scored on."""
        return self.test if kind == "captions" else self.masks

    def require_truth(self, kind: Kind) -> None:
        """Rejects data that cannot be scored; call it before training.

        Raises:
            DataError: no test pairs, or none with sentences or with masks.
        """
        data = self.scored_data(kind)
        pairs = open_dataset(data, "test")
        known = any(pairs.references.values()) if kind == "captions" else any(pairs.labelled)
        if not known:
            what, flag = ("sentences", "--test") if kind == "captions" else ("masks", "--masks")
            raise DataError(
                f"{' '.join(data)}: no test pair has {what} to score; name other data with {flag}"
            )

    def digest(self, data: tuple[str, ...], *splits: str) -> str:
        """The digest of the given splits of a dataset."""
        return data_digest(data, splits, self.out / "data.json")


@dataclass(frozen=True)
class FinishedRun:
    """A finished training.

    Attributes:
        folder: OUT/runs/DIGEST.
        config: the configuration given to `train`.
        facts: content of trained.json: ``code``, ``version``, ``device``, ``pairs`` (visited in training).
    """

    folder: Path
    config: Config
    facts: dict[str, Any]

    @property
    def model(self) -> Path:
        """The model after the last phase; there is no model selection on any split."""
        return self.folder / "train" / "model"

    def checkpoint(self, epoch: int) -> Path:
        """The model after an epoch of the stages, counted from 1; missing if the run kept none."""
        return PhaseFolder(self.folder / "train" / "phases" / MAIN).kept(epoch)


def trained(
    setup: ReproductionSetup,
    row: Row,
    seed: int,
    name: str,
    *,
    keep_every: int | None = None,
    suffix: str = "",
) -> FinishedRun:
    """Returns the run of a row; trains or resumes it if it is not finished.

    Args:
        setup: scale, data and folder.
        row: the row of a table.
        seed: of initial weights, sampling and dropout. name: title of the run in progress lines.
        keep_every: epochs between models that a new run keeps, see `FinishedRun.checkpoint`; None = none.
        suffix: added to the name of the run's folder, for a repetition of a finished run.

    Raises:
        As `train`; OutputError: OUT contains files other than runs.
    """
    config = configured(SCALES[setup.scale], row, setup.data, seed, setup.flags)
    if config.hardware.nodes > 1:
        raise ConfigError("configuration: reproduce runs on one machine; hardware.nodes must be 1")
    data = setup.digest(setup.data, "train", "val")
    folder = setup.out / "runs" / (run_name(config, data) + suffix)
    if keep_every is not None:
        config = replace(config, train=replace(config.train, keep_every=keep_every))
    record = folder / "trained.json"
    config = replace(config, out=str((folder / "train").resolve()))
    if record.exists():
        setup.say(f"{name}: trained already")
        return FinishedRun(folder, config, json.loads(record.read_text()))
    with only_process(folder) as lock:
        if not record.exists():  # another process may have finished it while this one waited
            setup.say(f"{name}: training in {folder}")
            config = on_shared_encoder(config, setup.out, data, setup.say)
            _train(config, lock)
            facts = {
                "name": name, "seed": seed, "version": semantic_cc.__version__, "code": code_digest(), "data": data,
                "device": device_name(config.hardware), "pairs": _visits(config), "config": to_dict(config),
            }  # fmt: skip
            _write(record, facts)
    return FinishedRun(folder, config, json.loads(record.read_text()))


def run_name(config: Config, data: str) -> str:
    """The digest that names a run: configuration and training data."""
    return run_digest(config, data, encoder=shared_encoder_name(config, data))


def scored(
    setup: ReproductionSetup, run: FinishedRun, kind: Kind, name: str, *, epoch: int | None = None
) -> KeptEvaluation:
    """Returns the evaluation of a run; evaluates the model if the file is missing.

    Args:
        setup: the data, and whether METEOR is scored.
        run: the run. kind: what is scored; if both have the same test data, one evaluation contains both.
        name: title of the run in progress lines.
        epoch: scores the checkpoint after this epoch of the stages; None = the final model.

    Raises:
        As `evaluate`; InputError: the file is not an evaluation.
    """
    data = setup.scored_data(kind)
    says = tasks_of(run.config)[1] and (kind == "captions" or data == setup.test)
    meteor = says and setup.meteor and find_java() is not None
    digest = setup.digest(data, "train", "test")  # a baseline uses the training sentences
    checkpoint = {} if epoch is None else {"epoch": epoch}
    path = run.folder / f"scores-{scores_digest(digest, sentences=says, meteor=meteor, **checkpoint)}.json"
    if not path.exists():
        setup.say(f"{name}: scoring on {' '.join(data)}, split test")
        model = run.model if epoch is None else run.checkpoint(epoch)
        report = evaluate(model, data, meteor=meteor, sentences=says, runtime="torch").to_json(
            predictions=True
        )
        _write(path, {**report, "data_digest": digest})
    return read_evaluation(path)


def _train(config: Config, lock: int) -> Path:
    """Trains in this process, or in one process per device; returns the model's folder.

    The child processes inherit `lock`, so that it stays locked if they outlive this process.
    """
    if config.hardware.devices == 1:
        return train(config, resume=True)
    out = Path(config.out)
    described = out.with_name(f"{out.name}.yaml")
    write_files(out.parent, {described.name: to_yaml(config).encode()})
    command = [sys.executable, "-m", "semantic_cc", "train", "--config", str(described), "--resume", "auto"]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, pass_fds=(lock,), check=False)
    if done.returncode:
        kind = ConfigError if done.returncode == 2 else TrainingError
        raise kind(f"the training in {out} ended with exit code {done.returncode}; what it said is above")
    return out / "model"


def _visits(config: Config) -> int:
    """Total number of pairs that the stages of a run visit."""
    pairs = open_dataset(config.data, "train")
    return sum(
        phase.epochs * sum(own.visits for own in schedules_of(phase, config.model, pairs, config.train))
        for phase in config.phases.values()
    )


def _write(path: Path, content: dict[str, Any]) -> None:
    write_files(path.parent, {path.name: (json.dumps(content, indent=1) + "\n").encode()})
