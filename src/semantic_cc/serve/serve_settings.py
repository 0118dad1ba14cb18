"""Every setting of the service: its flag, its environment variable, and its line in `/v1/limits`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, get_type_hints

from semantic_cc.errors import ConfigError
from semantic_cc.types import Json

PREFIX = "SEMANTIC_CC_SERVE_"
"""Of the environment variables; the rest of the name is the setting's, in capitals."""

MIB, GIB = 1 << 20, 1 << 30

MOST_PORT = 65535


@dataclass(frozen=True)
class Setting:
    """What a field of `ServeSettings` means.

    Attributes:
        unit: of its value.
        meaning: for help and docs.
        limit: whether `/v1/limits` shows it.
    """

    unit: str
    meaning: str
    limit: bool = True


@dataclass(frozen=True, kw_only=True)
class ServeSettings:
    """Settings of the service. Each field is a flag, an environment variable and, unless secret, in `/v1/limits`.

    Raises:
        ConfigError: a number is out of its range, or `root_path` does not begin with a slash.
    """

    data: Annotated[Path, Setting("path", "folder of the job database and the files", limit=False)] = Path(
        "semantic-cc-serve"
    )
    host: Annotated[str, Setting("address", "address to listen on", limit=False)] = "127.0.0.1"
    port: Annotated[int, Setting("number", "port to listen on; 0 = any free one", limit=False)] = 8000
    root_path: Annotated[str, Setting("path", "path prefix that a reverse proxy removes", limit=False)] = ""
    tokens: Annotated[
        tuple[str, ...],
        Setting("tokens", "bearer tokens, comma-separated; none = no token is needed", limit=False),
    ] = ()
    cors_origins: Annotated[
        tuple[str, ...],
        Setting(
            "origins",
            "origins whose pages may call the service, comma-separated; none = CORS is off",
            limit=False,
        ),
    ] = ()
    upload_bytes: Annotated[int, Setting("bytes", "largest request body")] = 2 * GIB
    upload_seconds: Annotated[int, Setting("seconds", "longest time to receive a request body")] = 600
    image_pixels: Annotated[int, Setting("pixels", "largest image of a scene, width times height")] = (
        400000000
    )
    image_side: Annotated[int, Setting("pixels", "longest side of an image of a scene")] = 100000
    image_bands: Annotated[int, Setting("bands", "largest number of bands of an image")] = 32
    expansion: Annotated[
        int,
        Setting(
            "ratio", "largest ratio of decoded bytes to file bytes, for images of more than 64 MiB decoded"
        ),
    ] = 500
    pair_pixels: Annotated[
        int, Setting("pixels", "largest plain image that is described as one pair; larger ones are scenes")
    ] = 1024 * 1024
    pair_queue: Annotated[int, Setting("requests", "plain pairs that may wait for the model")] = 64
    pair_batch: Annotated[
        int,
        Setting(
            "pairs",
            "plain pairs of one size that the model describes at once; 1 = one after another, as the command does",
        ),
    ] = 8
    pair_seconds: Annotated[
        int, Setting("seconds", "longest time that a plain pair may wait for its answer")
    ] = 60
    job_queue: Annotated[int, Setting("jobs", "unfinished jobs of all clients")] = 100
    client_jobs: Annotated[int, Setting("jobs", "unfinished jobs of one client")] = 10
    job_workers: Annotated[int, Setting("jobs", "jobs that run at once")] = 1
    job_seconds: Annotated[int, Setting("seconds", "longest time that a job may run")] = 6 * 3600
    job_attempts: Annotated[
        int,
        Setting(
            "starts",
            "times that the service may end while it runs a job that makes no progress; then the job fails",
        ),
    ] = 25
    keep_seconds: Annotated[int, Setting("seconds", "age at which a finished job is removed")] = 7 * 86400
    keep_bytes: Annotated[
        int, Setting("bytes", "size of all finished jobs; beyond it the oldest are removed")
    ] = 20 * GIB
    disk_bytes: Annotated[int, Setting("bytes", "size of all files of the service")] = 50 * GIB

    def __post_init__(self) -> None:
        for part in fields(self):
            value = getattr(self, part.name)
            least = 0 if part.name == "port" else 1
            if isinstance(value, int) and value < least:
                raise ConfigError(f"{part.name} is {value}; give a whole number of at least {least}")
        if self.port > MOST_PORT:
            raise ConfigError(f"port is {self.port}; give a whole number of at most {MOST_PORT}")
        if self.root_path and not self.root_path.startswith("/"):
            raise ConfigError(f"root_path is {self.root_path!r}; begin it with a slash, such as /changes")

    def limits(self) -> dict[str, Json]:
        """Name -> value, unit and meaning of every limit, for `/v1/limits`."""
        return {
            name: {"value": getattr(self, name), "unit": setting.unit, "meaning": setting.meaning}
            for name, setting in described_settings().items()
            if setting.limit
        }


def described_settings() -> dict[str, Setting]:
    """Name of each setting -> what it means."""
    hints = get_type_hints(ServeSettings, include_extras=True)
    return {part.name: hints[part.name].__metadata__[0] for part in fields(ServeSettings)}


def flag_of(name: str) -> str:
    """The command line flag of a setting, for example ``--upload-bytes``."""
    return "--" + name.replace("_", "-")


def variable_of(name: str) -> str:
    """The environment variable of a setting, for example ``SEMANTIC_CC_SERVE_UPLOAD_BYTES``."""
    return PREFIX + name.upper()


def read_settings(flags: Mapping[str, str], environment: Mapping[str, str] | None = None) -> ServeSettings:
    """The settings: a flag overrides the environment variable, which overrides the default.

    Args:
        flags: name of a setting -> text, the given ones only.
        environment: by default the process's.

    Raises:
        ConfigError: a text is not of the setting's type, a number is out of its range, or a variable with `PREFIX`
            names no setting.
    """
    environment = os.environ if environment is None else environment
    parts = {part.name: part for part in fields(ServeSettings)}
    values: dict[str, Any] = {}
    for variable, text in environment.items():
        if variable.startswith(PREFIX):
            name = variable.removeprefix(PREFIX).lower()
            if name not in parts:
                raise ConfigError(f"{variable}: there is no setting {name}; see 'semantic-cc serve --help'")
            values[name] = _parse(variable, text, parts[name].default)
    for name, text in flags.items():
        values[name] = _parse(flag_of(name), text, parts[name].default)
    return ServeSettings(**values)


def _parse(where: str, text: str, default: object) -> object:
    """`text` as a value of the default's type."""
    if isinstance(default, int):
        try:
            return int(text)
        except ValueError as error:
            raise ConfigError(f"{where} is {text!r}; give a whole number") from error
    if isinstance(default, tuple):
        return tuple(part.strip() for part in text.split(",") if part.strip())
    return Path(text) if isinstance(default, Path) else text
