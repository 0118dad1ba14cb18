"""Files of a run, and the training state for exact resume."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from semantic_cc.config import Config, PhaseConfig, to_dict, to_yaml
from semantic_cc.errors import CheckpointError, ConfigError, OutputError, one_line
from semantic_cc.files import write_files
from semantic_cc.training.optim import Updater

_MAY_DIFFER = re.compile(
    r"data|out|phases\.[\w-]+\.data|hardware\..*|train\.(val_data|cache_images|features|checkpoint_every|keep_every|loggers|val_pictures)"
)
_HALF_DONE = (".model-*", ".best-*", "epochs/.*-*", ".*.tmp", "pictures/*/.*.tmp", "state/*.partial")
"""Patterns of temporary names in a phase's folder."""


def may_differ(field: str) -> bool:
    """Whether a field may change on resume because it affects no step: paths, saving, display and hardware."""
    return _MAY_DIFFER.fullmatch(field) is not None


@dataclass(frozen=True)
class PhaseFolder:
    """The files of a phase below `root`."""

    root: Path

    @property
    def log(self) -> Path:
        """One row per step."""
        return self.root / "log.csv"

    @property
    def profile(self) -> Path:
        """Time per part in an epoch."""
        return self.root / "profile.csv"

    @property
    def state(self) -> Path:
        """The latest training state, until the phase is finished."""
        return self.root / "state" / "latest.pt"

    @property
    def finished(self) -> Path:
        """Marks the phase as finished: its configuration and results."""
        return self.root / "finished.json"

    @property
    def model(self) -> Path:
        """The model after the last finished epoch."""
        return self.root / "model"

    @property
    def validation(self) -> Path:
        """One row per validated epoch."""
        return self.root / "validation.csv"

    @property
    def best(self) -> Path:
        """The best model so far by validation."""
        return self.root / "best"

    def kept(self, epoch: int) -> Path:
        """The permanently kept model of an epoch, counted from 1."""
        return self.root / "epochs" / f"{epoch:04d}"

    def pictures(self, epoch: int) -> Path:
        """Images of validated pairs after an epoch."""
        return self.root / "pictures" / f"{epoch:04d}"


@dataclass(frozen=True)
class RunFolder:
    """The files of a run below `root`, `Config.out`."""

    root: Path

    @property
    def config(self) -> Path:
        """The configuration of the run."""
        return self.root / "config.yaml"

    @property
    def model(self) -> Path:
        """The model after the last phase."""
        return self.root / "model"

    def phase(self, name: str) -> PhaseFolder:
        """The folder of a phase."""
        return PhaseFolder(self.root / "phases" / name)


def open_run(config: Config, phases: Sequence[str], resume: bool) -> RunFolder:
    """Creates the folders of a run and its phases, writes the configuration, and removes incomplete files.

    Args:
        config: the run.
        phases: phases to run.
        resume: whether the phases may exist.

    Raises:
        OutputError: the folder cannot be written, or contains one of the phases and `resume` is off.
        ConfigError: a phase there has a different configuration; nothing is written.
        CheckpointError: the state of a phase there is corrupt.
    """
    folder = RunFolder(Path(config.out))
    there = [name for name in phases if folder.phase(name).root.exists()]
    if there and not resume:
        raise OutputError(
            f"{folder.root} already holds a run (phase {there[0]}); continue it with --resume auto, remove it, or "
            "choose another folder"
        )
    for name in there:
        _require_resumable(folder.phase(name), replace(config, phases={name: config.phases[name]}))
    try:
        for left in folder.root.glob(".model-*"):
            shutil.rmtree(left)
        for own in map(folder.phase, phases):
            own.state.parent.mkdir(parents=True, exist_ok=True)
            for left in (path for pattern in _HALF_DONE for path in own.root.glob(pattern)):
                shutil.rmtree(left) if left.is_dir() else left.unlink()
        write_files(folder.root, {folder.config.name: to_yaml(config).encode()})
    except OSError as error:
        raise OutputError(
            f"cannot write the run to {folder.root}: {error.strerror}; choose another folder"
        ) from error
    return folder


def save_finished(folder: PhaseFolder, config: Config, facts: Mapping[str, object]) -> None:
    """Marks a phase as finished and removes its training state.

    Raises:
        OutputError: the file cannot be written.
    """
    content = {"config": to_dict(config), "facts": facts}
    write_files(folder.root, {folder.finished.name: json.dumps(content, indent=1).encode()})
    folder.state.unlink(missing_ok=True)


def load_finished(folder: PhaseFolder, config: Config) -> bool:
    """Whether a phase is finished.

    Raises:
        ConfigError: it was finished with a different configuration.
    """
    if not folder.finished.exists():
        return False
    _require_same(json.loads(folder.finished.read_text())["config"], to_dict(config))
    return True


def save_state(path: Path, config: Config, step: int, updater: Updater) -> None:
    """Writes the training state atomically.

    It contains no random generator state: all draws, including dropout, are keyed by seed and step.

    Args:
        path: the file.
        config: the run's configuration, checked on resume.
        step: steps taken; they determine epoch, stage and position.
        updater: weights, optimiser, scaler and average.

    Raises:
        OutputError: the file cannot be written; the previous file is kept.
    """
    temporary = path.with_suffix(".partial")
    try:
        with temporary.open("wb") as file:
            torch.save({"config": to_dict(config), "step": step, **updater.state_dict()}, file)
            file.flush()
            os.fsync(file.fileno())  # a power failure must not leave a truncated file under the new name
        os.replace(temporary, path)
    except (OSError, RuntimeError) as error:  # torch raises RuntimeError on a full disk
        temporary.unlink(missing_ok=True)
        raise OutputError(f"cannot write the training state {path}: {one_line(error)}") from error


def load_state(path: Path, config: Config, updater: Updater) -> int:
    """Restores a state from `save_state` and returns the number of steps taken.

    Raises:
        CheckpointError: the file is corrupt or contains different parameters.
        ConfigError: the run was started with a different configuration.
    """
    state = _read_state(path)
    _require_same(state["config"], to_dict(config))
    try:
        updater.load_state_dict(state)
    except (ValueError, KeyError) as error:
        raise CheckpointError(f"the training state {path} is of another model: {one_line(error)}") from error
    return int(state["step"])


def _require_resumable(folder: PhaseFolder, config: Config) -> None:
    """Compares `config` with that of a finished or interrupted phase, and reads no weights.

    Raises:
        ConfigError, CheckpointError: as `load_finished` and `load_state`.
    """
    if not load_finished(folder, config) and folder.state.exists():
        _require_same(_read_state(folder.state, mmap=True)["config"], to_dict(config))


def _read_state(path: Path, mmap: bool = False) -> dict[str, Any]:
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
    except Exception as error:  # torch.load raises no specific type for a corrupt file
        raise CheckpointError(f"cannot read the training state {path}: {one_line(error)}") from error
    return state


_REMOVED = {"model.qformer.text": False}
"""Fields of earlier versions, with the only value that this version can continue."""


def _require_same(saved: dict[str, Any], given: dict[str, Any]) -> None:
    """Compares two configurations; a field that a later version added had its default when `saved` was written.

    Raises:
        ConfigError: they differ in a field that may not change.
    """
    before = {**_REMOVED, **_defaults(saved["phases"]), **dict(leaves(saved))}
    now = {**_REMOVED, **dict(leaves(given))}
    for key in sorted(before.keys() | now.keys()):
        if not may_differ(key) and before.get(key) != now.get(key):
            raise ConfigError(
                f"cannot resume: {key} was {before.get(key)!r} when the run started "
                f"and is {now.get(key)!r} now; restore it, or start another run"
            )


def _defaults(phases: Iterable[str]) -> dict[str, Any]:
    """Dotted name -> default of all fields of a configuration with these phases, without those of stages."""
    of_phase = dict(leaves(to_dict(PhaseConfig())))
    return dict(leaves(to_dict(Config()))) | {
        f"phases.{name}.{key}": value for name in phases for key, value in of_phase.items()
    }


def leaves(values: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    """Yields the dotted names and plain values of a configuration's fields."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value
