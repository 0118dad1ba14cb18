"""What a run leaves on disk: its folder, the state for exact resume, the CSV log."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch
import yaml
from torch import nn

from semantic_cc.config import Config, to_dict
from semantic_cc.errors import CheckpointError, ConfigError, OutputError

COLUMNS = ("step", "epoch", "stage", "loss", "change", "caption", "flag", "lr", "seconds")
_MAY_DIFFER = {"data", "out", "train.checkpoint_every"}  # moving a run or saving more often changes no step


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


def open_run(config: Config, resume: bool) -> RunFolder:
    """Makes the run's folder and writes the configuration into it.

    Raises:
        OutputError: if the folder cannot be written, or holds a run and `resume` is off.
    """
    folder = RunFolder(Path(config.out))
    if not resume and any(path.exists() for path in (folder.config, folder.log, folder.state, folder.model)):
        raise OutputError(f"{folder.root} already holds a run; resume it, remove it or choose another folder")
    try:
        folder.state.parent.mkdir(parents=True, exist_ok=True)
        if not folder.state.exists():
            folder.config.write_text(yaml.safe_dump(to_dict(config), sort_keys=False))
    except OSError as error:
        raise OutputError(f"cannot write the run to {folder.root}: {error.strerror}") from error
    return folder


def save_state(
    path: Path,
    config: Config,
    step: int,
    parameters: dict[str, nn.Parameter],
    optimizer: torch.optim.Optimizer,
) -> None:
    """Writes all that the next step depends on, under a temporary name first.

    Args:
        path: the file.
        config: the run's configuration; a resume must agree with it.
        step: steps done; epoch, stage and position follow from it.
        parameters: every parameter that trains in some stage, by name.
        optimizer: AdamW with its moments.

    Raises:
        OutputError: the file cannot be written; the one before it stays.
    """
    device = next(iter(parameters.values())).device
    state = {
        "config": to_dict(config),
        "step": step,
        "parameters": {name: parameter.detach() for name, parameter in parameters.items()},
        "optimizer": optimizer.state_dict(),
        "rng": torch.get_rng_state(),
        "cuda_rng": torch.cuda.get_rng_state(device) if device.type == "cuda" else None,
    }
    temporary = path.with_suffix(".partial")
    try:
        torch.save(state, temporary)
        os.replace(temporary, path)
    except (OSError, RuntimeError) as error:  # torch's zip writer reports a full disk as a RuntimeError
        temporary.unlink(missing_ok=True)
        raise OutputError(f"cannot write the training state {path}: {one_line(error)}") from error


def load_state(
    path: Path, config: Config, parameters: dict[str, nn.Parameter], optimizer: torch.optim.Optimizer
) -> int:
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
    saved = state["parameters"]
    if saved.keys() != parameters.keys() or any(saved[n].shape != p.shape for n, p in parameters.items()):
        raise CheckpointError(f"the training state {path} is of another model")
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(saved[name])
    optimizer.load_state_dict(state["optimizer"])
    torch.set_rng_state(state["rng"])
    device = next(iter(parameters.values())).device
    if device.type == "cuda" and state["cuda_rng"] is not None:
        torch.cuda.set_rng_state(state["cuda_rng"], device)
    return int(state["step"])


def one_line(error: Exception) -> str:
    """An error's message on one line, cut to 200 characters."""
    return " ".join(str(error).split())[:200]


def _require_same(saved: dict[str, Any], given: dict[str, Any]) -> None:
    before, now = dict(_leaves(saved)), dict(_leaves(given))
    for key in sorted(before.keys() | now.keys()):
        if key not in _MAY_DIFFER and before.get(key) != now.get(key):
            raise ConfigError(
                f"cannot resume: {key} was {before.get(key)!r} when the run started "
                f"and is {now.get(key)!r} now"
            )


def _leaves(values: dict[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


class Log:
    """The CSV log, one row per step, cut back to `step` rows when opened.

    Args:
        path: the file; made when missing.
        step: steps done; later rows are of steps that will be taken again.
    """

    def __init__(self, path: Path, step: int) -> None:
        rows = _rows_up_to(path, step)
        self._file = path.open("w", newline="", buffering=1)  # line by line, for whoever follows it
        self._writer = csv.DictWriter(self._file, COLUMNS, lineterminator="\n")
        self._writer.writeheader()
        self._writer.writerows(rows)

    def write(self, **row: Any) -> None:
        """Adds a row; columns without a value stay empty."""
        self._writer.writerow(row)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


def _rows_up_to(path: Path, step: int) -> list[dict[str, str]]:
    if step == 0 or not path.exists():
        return []
    with path.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if (row["step"] or "").isdigit()]
    return [row for row in rows if int(row["step"]) <= step]
