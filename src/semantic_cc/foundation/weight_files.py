"""Reads files of tensors one tensor at a time: safetensors, sharded or not, and pickles that contain only tensors."""

from __future__ import annotations

import json
import pickle
import re
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from semantic_cc.errors import CheckpointError, one_line

INDEXES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
SINGLES = ("model.safetensors", "pytorch_model.bin")


class TensorFiles:
    """Tensors by name, in one file or in the shards of a folder, read on demand.

    Args:
        path: a .safetensors file, a pickle (.pth, .pt, .bin), or a folder in the Hugging Face layout.
        pickles: whether pickles may be read (only for converters).

    Raises:
        CheckpointError: no such files, an unreadable file, or an index that does not match its shards.
    """

    def __init__(self, path: Path, pickles: bool = False) -> None:
        self.path = path
        self.pickles = pickles
        self._pickled: dict[Path, Mapping[str, Any]] = {}
        self.place = self._places(path)
        """Tensor name -> the file that contains it."""

    @property
    def files(self) -> list[Path]:
        """The files that contain the tensors, sorted."""
        return sorted(set(self.place.values()))

    def tensors(self, names: Iterable[str]) -> dict[str, Tensor]:
        """The tensors with these names, in their stored dtype.

        Raises:
            CheckpointError: a shard is missing, unreadable, or lacks a tensor of the index.
        """
        result: dict[str, Tensor] = {}
        by_file: dict[Path, list[str]] = {}
        for name in names:
            by_file.setdefault(self.place[name], []).append(name)
        for file, own in by_file.items():
            self._check(file, own)
            if is_pickle(file):
                result |= {name: _tensor(file, name, self._pickle(file)[name]) for name in own}
                continue
            with _opened(file) as stream:
                result |= {name: stream.get_tensor(name) for name in own}
        return result

    def checked(self) -> list[Path]:
        """The files, after checking that each exists, is readable and matches the index; reads no tensors.

        Raises:
            CheckpointError: a check fails.
        """
        for file in self.files:
            self._check(file, [name for name, place in self.place.items() if place == file])
        return self.files

    def _check(self, file: Path, names: list[str]) -> None:
        lacking = set(names) - set(self._names(file))
        if lacking:
            raise CheckpointError(
                f"{file}: lacks {min(lacking)}, which the index lists in it; fetch it again"
            )

    def _places(self, path: Path) -> dict[str, Path]:
        if not path.is_dir():
            return dict.fromkeys(self._names(path), path)
        for name in SINGLES:
            if (path / name).is_file():
                return self._places(path / name)
        for name in INDEXES:
            if (path / name).is_file():
                return _index(path / name)
        raise CheckpointError(f"{path}: holds none of {', '.join((*SINGLES, *INDEXES))}")

    def _names(self, file: Path) -> list[str]:
        if not file.is_file():
            raise CheckpointError(f"{file}: no such file; every shard that the index names must be there")
        if is_pickle(file):
            return list(self._pickle(file))
        with _opened(file) as stream:
            return list(stream.keys())

    def _pickle(self, file: Path) -> Mapping[str, Any]:
        if not self.pickles:
            raise CheckpointError(
                f"{file}: is a pickle, which only the converter reads; run semantic-cc weights convert {file}"
            )
        if file not in self._pickled:
            self._pickled[file] = _unpickled(file)
        return self._pickled[file]


def is_pickle(file: Path) -> bool:
    """Whether a file is read as a pickle: every file without the suffix .safetensors."""
    return file.suffix != ".safetensors"


def is_finite(value: Tensor) -> bool:
    """Whether all values are finite, tested by their float32 sum; real weights do not overflow it."""
    return bool(torch.isfinite(value.sum(dtype=torch.float32)))


def _index(path: Path) -> dict[str, Path]:
    try:
        places = json.loads(path.read_text())["weight_map"]
        if any(Path(file).name != file for file in places.values()):
            raise ValueError("a shard lies outside the folder")
        return {name: path.parent / file for name, file in places.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(
            f"{path}: is not an index of shards ({one_line(error)}); fetch it again"
        ) from error


def _opened(file: Path) -> Any:
    try:
        return safe_open(file, "pt")
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"cannot read {file}: {one_line(error)}; it may be truncated, fetch it again"
        ) from error


def _unpickled(file: Path) -> Mapping[str, Any]:
    """The state dict of a pickle, at the top level or under "model". torch's weights_only reader executes no code."""
    try:
        content = torch.load(file, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(file))
    except pickle.UnpicklingError as error:
        asked = re.search(r"GLOBAL ([\w.]+)", str(error))
        if asked is None:  # torch's own message suggests unsafe loading
            raise CheckpointError(f"cannot read {file}: it is not a pickle of tensors") from error
        raise CheckpointError(
            f"{file} is refused: its pickle asks for {asked[1]}; only files of plain tensors are read"
        ) from error
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, IndexError, TypeError) as error:
        raise CheckpointError(
            f"cannot read {file}: {one_line(error)}; it may be truncated, fetch it again"
        ) from error
    if isinstance(content, Mapping) and isinstance(content.get("model"), Mapping):
        content = content["model"]
    if not isinstance(content, Mapping) or not all(isinstance(key, str) for key in content):
        raise CheckpointError(f"{file} does not hold named tensors")
    return content


def _tensor(file: Path, name: str, value: Any) -> Tensor:
    if not isinstance(value, Tensor):
        raise CheckpointError(f"{file}: {name} is not a tensor")
    return value
