"""What a run leaves on disk, and the state from which it goes on exactly."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml

from semantic_cc.config import Config, to_dict
from semantic_cc.errors import CheckpointError, ConfigError, OutputError
from semantic_cc.foundation.weight_files import one_line
from semantic_cc.training.optim import Updater

MAY_DIFFER = (
    "data", "out", "hardware.", "train.checkpoint_every", "train.keep_every", "train.loggers", "train.val_pictures",
)  # fmt: skip
"""Fields and sections that change no step: a run may move, save and show more often, and change its hardware."""
_HALF_DONE = (".model-*", ".best-*", "epochs/.*-*", ".*.csv.*.tmp", "pictures/*/.*.tmp", "state/*.partial")
"""Temporary names in a run's folder."""


@dataclass(frozen=True)
class RunFolder:
    """The files of a run below `root`."""

    root: Path

    @property
    def config(self) -> Path:
        """The configuration that was used."""
        return self.root / "config.yaml"

    @property
    def log(self) -> Path:
        """One row per step."""
        return self.root / "log.csv"

    @property
    def profile(self) -> Path:
        """Where the time of an epoch went."""
        return self.root / "profile.csv"

    @property
    def state(self) -> Path:
        """The latest training state."""
        return self.root / "state" / "latest.pt"

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
        """The model of an epoch, counted from 1, that is kept for good."""
        return self.root / "epochs" / f"{epoch:04d}"

    def pictures(self, epoch: int) -> Path:
        """The validated pairs that are drawn after an epoch."""
        return self.root / "pictures" / f"{epoch:04d}"


def open_run(config: Config, resume: bool) -> RunFolder:
    """Makes the run's folder and writes the configuration into it; clears away what a killed process left half-done.

    Raises:
        OutputError: if the folder cannot be written, or holds a run and `resume` is off.
    """
    folder = RunFolder(Path(config.out))
    if not resume and any(path.exists() for path in (folder.config, folder.log, folder.state, folder.model)):
        raise OutputError(f"{folder.root} already holds a run; resume it, remove it or choose another folder")
    try:
        folder.state.parent.mkdir(parents=True, exist_ok=True)
        for left in (path for pattern in _HALF_DONE for path in folder.root.glob(pattern)):
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        if not folder.state.exists():
            folder.config.write_text(yaml.safe_dump(to_dict(config), sort_keys=False))
    except OSError as error:
        raise OutputError(f"cannot write the run to {folder.root}: {error.strerror}") from error
    return folder


def save_state(path: Path, config: Config, step: int, updater: Updater) -> None:
    """Writes all that the next step depends on, under a temporary name first.

    Nothing random is in it: every draw, of dropout too, is keyed by seed and step.

    Args:
        path: the file.
        config: the run's configuration; a resume must agree with it.
        step: steps done; epoch, stage and position follow from it.
        updater: weights, optimiser, scaler and average.

    Raises:
        OutputError: the file cannot be written; the one before it stays.
    """
    temporary = path.with_suffix(".partial")
    try:
        with temporary.open("wb") as file:
            torch.save({"config": to_dict(config), "step": step, **updater.state_dict()}, file)
            file.flush()
            os.fsync(file.fileno())  # a power cut must not leave the new name on half a file
        os.replace(temporary, path)
    except (OSError, RuntimeError) as error:  # torch's zip writer reports a full disk as a RuntimeError
        temporary.unlink(missing_ok=True)
        raise OutputError(f"cannot write the training state {path}: {one_line(error)}") from error


def load_state(path: Path, config: Config, updater: Updater) -> int:
    """Restores what `save_state` wrote and returns the number of steps done.

    Raises:
        CheckpointError: if the file is corrupt or holds other parameters.
        ConfigError: if the run was started with another configuration.
    """
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load has no narrower promise for a damaged file
        raise CheckpointError(f"cannot read the training state {path}: {one_line(error)}") from error
    _require_same(state["config"], to_dict(config))
    try:
        updater.load_state_dict(state)
    except (ValueError, KeyError) as error:
        raise CheckpointError(f"the training state {path} is of another model: {one_line(error)}") from error
    return int(state["step"])


def _require_same(saved: dict[str, Any], given: dict[str, Any]) -> None:
    before, now = dict(leaves(saved)), dict(leaves(given))
    for key in sorted(before.keys() | now.keys()):
        if not key.startswith(MAY_DIFFER) and before.get(key) != now.get(key):
            raise ConfigError(
                f"cannot resume: {key} was {before.get(key)!r} when the run started "
                f"and is {now.get(key)!r} now"
            )


def leaves(values: dict[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    """The fields of a configuration in plain values, with their dotted names."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value
