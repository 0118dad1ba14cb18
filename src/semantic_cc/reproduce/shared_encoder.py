"""The image encoder that all rows and seeds of a scale share, and where it is kept.

    OUT/starts/DIGEST/train                   the output folder of its training
    OUT/starts/DIGEST/encoder.safetensors     the encoder
    OUT/features                              its features, where no row trains it

The scale `levir-dev` starts from the encoder of the packaged model, whose file is in OUT/starts too. The packaged model
reads the masks from its convolutions, so its tokens know little of buildings; this training lets them know more.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import save

import semantic_cc
from semantic_cc.config import Config, ModelConfig
from semantic_cc.errors import OutputError, SemanticCCError
from semantic_cc.files import locked, write_files
from semantic_cc.reproduce.run_digests import SHORT, run_digest
from semantic_cc.reproduce.scales import shared_encoder_run
from semantic_cc.training.pipeline import train


def shared_encoder_name(config: Config, data: str) -> str | None:
    """The digest of the shared encoder that a run starts from; None if it starts from no shared one."""
    start = _training(config)
    if start is None:
        return None
    packaged = _sha(_vision_weights(_packaged_weights())) if _reads_packaged_encoder(config) else None
    return run_digest(start, data, encoder=packaged) if packaged else run_digest(start, data)


def on_shared_encoder(config: Config, out: Path, data: str, say: Callable[[str], None]) -> Config:
    """`config` with the shared encoder as its start; trains the encoder if it is missing.

    Args:
        config: the configuration of a row.
        out: OUT.
        data: digest of the training data.
        say: called with a line before the training.

    Raises:
        As `train`; OutputError: OUT cannot be written.
    """
    name, packaged = shared_encoder_name(config, data), _reads_packaged_encoder(config)
    if name is None:
        return config
    out = out.resolve()
    path = out / "starts" / name / "encoder.safetensors"
    with only_process(path.parent):
        if not path.exists():
            say(f"the encoder that all runs start from: training in {path.parent}")
            _write_vision(_trained(config, path.parent, packaged) / "model.safetensors", path)
    if packaged:
        config = replace(config, train=replace(config.train, features=str(out / "features")))
    return _starting_from(path, config)


@contextmanager
def only_process(folder: Path) -> Iterator[int]:
    """Creates `folder`, waits until no other process works in it, and yields the lock's file descriptor."""
    try:
        with locked(folder / ".lock") as file:
            yield file.fileno()
    except OSError as error:
        if isinstance(error, SemanticCCError):
            raise
        raise OutputError(f"{folder}: cannot be written ({error.strerror}); choose another --out") from error


def _trained(config: Config, folder: Path, packaged: bool) -> Path:
    """Trains the encoder of a row below `folder`, from the packaged one or from its own start; returns the model."""
    start = _training(config)
    assert start is not None  # the encoder has a name
    if packaged:
        first = folder / "packaged.safetensors"
        _write_vision(_packaged_weights(), first)
        start = _starting_from(first, start)
    hardware = replace(config.hardware, devices=1)
    return train(replace(start, out=str(folder / "train"), hardware=hardware), resume=True)


def _training(config: Config) -> Config | None:
    """The run that trains the encoder, the same for every row and seed of a scale; None if there is none.

    Its model is the encoder with the smallest decoder, without BCSF.
    """
    if _reads_packaged_encoder(config):
        return shared_encoder_run(config)
    phases = {name: phase for name, phase in config.phases.items() if phase.kind == "encoder"}
    if not phases or not config.model.has_sam or config.model.encoder.weights is not None:
        return None
    encoder = replace(config.model.encoder, bcsf=False, bcsf_after="global")
    model = ModelConfig(method="ttp", encoder=encoder, decoding="greedy")
    kept = replace(Config().train, precision=config.train.precision, loggers=())
    return Config(data=config.data, model=model, optim=config.optim, train=kept, phases=phases)


def _reads_packaged_encoder(config: Config) -> bool:
    """Whether the run's encoder is frozen and has no weights named: then it comes from the packaged model's."""
    return config.model.encoder.adapt == "frozen" and config.model.encoder.weights is None


def _packaged_weights() -> Path:
    return Path(semantic_cc.__file__).parent / "pretrained" / "small" / "model.safetensors"


def _starting_from(path: Path, config: Config) -> Config:
    encoder = replace(config.model.encoder, weights=str(path))
    return replace(config, model=replace(config.model, encoder=encoder))


def _write_vision(model: Path, path: Path) -> None:
    """Writes a model's image encoder, without BCSF, to `path`."""
    write_files(path.parent, {path.name: _vision_weights(model)})


@cache
def _vision_weights(model: Path) -> bytes:
    """A safetensors file with the image encoder of a model, without BCSF."""
    prefix = "encoder.vision."
    with safe_open(model, "pt") as own:
        names = own.keys()
        vision = {
            name.removeprefix(prefix): own.get_tensor(name) for name in names if name.startswith(prefix)
        }
    return save(vision)


def _sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:SHORT]
