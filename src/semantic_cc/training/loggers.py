"""Loggers: log.csv always, TensorBoard and Weights & Biases if configured."""

from __future__ import annotations

import csv
import io
import uuid
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

from semantic_cc.config import Config, to_dict
from semantic_cc.errors import ConfigError
from semantic_cc.files import write_files
from semantic_cc.training.state import PhaseFolder

if TYPE_CHECKING:
    from PIL import Image

COLUMNS = ("step", "epoch", "stage", "loss", "change", "caption", "flag", "dice", "norm", "lr", "seconds")
"""Columns of log.csv. `loss` is the weighted sum, the other losses are unweighted; `norm` is before clipping."""
_NEEDS = {"tensorboard": "tensorboardX", "wandb": "wandb"}


class LogSink(Protocol):
    """Destination of scalars and images."""

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Logs values by name, after `step` steps."""
        ...

    def picture(self, step: int, name: str, picture: Image.Image, text: str) -> None:
        """Logs an image with its text."""
        ...

    def close(self) -> None:
        """Flushes and closes."""
        ...


class TensorBoard:
    """TensorBoard event files in `tensorboard/`.

    Args:
        folder: the phase's folder.
        done: steps taken; later events of an earlier process are hidden.
    """

    def __init__(self, folder: PhaseFolder, done: int) -> None:
        from tensorboardX import SummaryWriter

        self._writer = SummaryWriter(str(folder.root / "tensorboard"), purge_step=done + 1)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """See `LogSink`."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def picture(self, step: int, name: str, picture: Image.Image, text: str) -> None:
        """See `LogSink`."""
        import numpy as np

        self._writer.add_image(name, np.asarray(picture), step, dataformats="HWC")
        self._writer.add_text(name, text, step)

    def close(self) -> None:
        """See `LogSink`."""
        self._writer.close()


class WeightsAndBiases:
    """A Weights & Biases run in project semantic-cc; needs `wandb login` or WANDB_MODE=offline.

    Args:
        folder: the phase's folder; it stores the run's id for resume.
        config: logged as the run's config.
    """

    def __init__(self, folder: PhaseFolder, config: Config) -> None:
        import wandb

        name = folder.root / "wandb.id"
        if not name.exists():
            write_files(folder.root, {name.name: uuid.uuid4().hex.encode()})
        self._wandb = wandb
        self._run = wandb.init(
            project="semantic-cc",
            dir=folder.root,
            id=name.read_text(),
            resume="allow",
            config=to_dict(config),
        )

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """See `LogSink`."""
        self._run.log(dict(values), step=step)

    def picture(self, step: int, name: str, picture: Image.Image, text: str) -> None:
        """See `LogSink`."""
        self._run.log({name: self._wandb.Image(picture, caption=text)}, step=step)

    def close(self) -> None:
        """See `LogSink`."""
        self._run.finish()


def require_loggers(config: Config) -> None:
    """Checks before the run that the packages of `train.loggers` are installed.

    Raises:
        ConfigError: a package is not installed.
    """
    for name in config.train.loggers:
        if find_spec(_NEEDS[name]) is None:
            raise ConfigError(
                f"configuration: train.loggers {name} needs the package {_NEEDS[name]}: pip install {_NEEDS[name]}"
            )


class Logs:
    """All loggers of a run; a context manager.

    Args:
        folder: the phase's folder.
        config: the run's config.
        done: steps taken; later rows are removed, because their steps are repeated.
    """

    def __init__(self, folder: PhaseFolder, config: Config, done: int) -> None:
        _cut_back(folder.log, done)
        self._file = folder.log.open("a", newline="", buffering=1)  # line-buffered, for tail -f
        self._rows = csv.DictWriter(self._file, COLUMNS, lineterminator="\n")
        self._sinks: list[LogSink] = []
        if "tensorboard" in config.train.loggers:
            self._sinks.append(TensorBoard(folder, done))
        if "wandb" in config.train.loggers:
            self._sinks.append(WeightsAndBiases(folder, config))

    def step(
        self, step: int, epoch: int, stage: str, values: Mapping[str, float], lr: float, seconds: float
    ) -> None:
        """Logs one step: its losses (and norm), learning rate and seconds. `step` and `epoch` count from 1."""
        self._rows.writerow(
            {"step": step, "epoch": epoch, "stage": stage, **values, "lr": lr, "seconds": round(seconds, 4)}
        )
        self.scalars(step, {f"{stage}/{name}": value for name, value in values.items()} | {"lr": lr})

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Logs values by name, except to log.csv."""
        for sink in self._sinks:
            sink.scalars(step, values)

    def picture(self, step: int, name: str, picture: Image.Image, text: str) -> None:
        """Logs an image with its text, except to log.csv."""
        for sink in self._sinks:
            sink.picture(step, name, picture, text)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        for sink in self._sinks:
            sink.close()


def _cut_back(path: Path, step: int) -> None:
    """Keeps only the rows of the first `step` steps; replaces the file atomically."""
    rows: list[dict[str, Any]] = []
    if step > 0 and path.exists():
        with path.open(newline="") as file:
            rows = [row for row in csv.DictReader(file) if (row["step"] or "").isdigit()]
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(row for row in rows if int(row["step"]) <= step)
    write_files(path.parent, {path.name: text.getvalue().encode()})
