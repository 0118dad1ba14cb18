"""SAM, Q-Former and projection: reads files as tensors under our names, checks them and loads them into our modules.

A part's digest depends only on its content: sha256 over names, shapes and float32 values. The same weights have the
same digest in any file format.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from semantic_cc.errors import CheckpointError, FoundationWeightsError, one_line
from semantic_cc.files import digest_of, new_file
from semantic_cc.foundation.catalogue import FOUNDATIONS, cache_folder
from semantic_cc.foundation.key_mapping import Dropped, PartName, mapping_of
from semantic_cc.foundation.tensor_shapes import MissingSizeError, PartSizes, resampled, shapes_of, sizes_of
from semantic_cc.foundation.weight_files import TensorFiles, is_finite


@dataclass(frozen=True)
class Part:
    """Foundation weights of one part, at their original size.

    Attributes:
        name: encoder, qformer or enhancer.
        layout: the source layout, shown to users.
        file: the file or folder.
        files: the files that contain the tensors, without unrelated shards of a folder.
        tensors: by our names, relative to the part.
        digest: sha256 of the content.
        dropped: their keys that are not loaded -> reason.
    """

    name: PartName
    layout: str
    file: Path
    files: tuple[Path, ...]
    tensors: dict[str, Tensor]
    digest: str
    dropped: dict[str, str] = field(default_factory=dict)

    @property
    def sizes(self) -> PartSizes:
        """The part's sizes."""
        return sizes_of(self.name, self.tensors)


def read_part(path: Path, name: PartName | None = None, pickles: bool = False) -> Part:
    """Reads a part in any known layout. Checks that no key is unknown or missing and that shapes and values are valid.

    Args:
        path: a file, or a folder in the Hugging Face layout.
        name: the expected part; None = any.
        pickles: whether pickles may be read (only for converters).

    Raises:
        CheckpointError: a key is unknown, missing or of the wrong shape, a value is not finite, a file cannot be
            read, or its content does not match its digest.
    """
    source = TensorFiles(path, pickles)
    table = mapping_of(source.place)
    if table is None or name not in (None, table.part):
        known = "SAM, of BLIP-2's Q-Former, or of MiniGPT-4's projection"
        wanted = known if name is None else f"the part {name}"
        raise CheckpointError(f"{path}: holds no weights of {wanted} in a known layout")
    kept: dict[str, str] = {}  # our key -> their key
    dropped: dict[str, str] = {}
    for key in source.place:
        ours = table.ours(key)
        if ours is None:
            raise CheckpointError(f"{path}: {key} is unknown in the layout {table.layout!r}")
        if isinstance(ours, Dropped):
            dropped[key] = ours.why
        else:
            kept[ours] = key
    stored = source.tensors(kept.values())
    tensors = {ours: stored[key] for ours, key in kept.items()}
    try:
        refuse_unfit(path, tensors, shapes_of(table.part, tensors), table.theirs)
    except MissingSizeError as error:
        raise CheckpointError(f"{path}: {table.theirs(error.key)} {error.why}") from error
    for key, value in tensors.items():
        if not value.is_floating_point() or not is_finite(value):
            raise CheckpointError(
                f"{path}: {table.theirs(key)} holds values that are not numbers; fetch it again"
            )
    files = tuple(sorted({source.place[key] for key in kept.values()}))
    part = Part(table.part, table.layout, path, files, tensors, content_digest(tensors), dropped)
    written = facts_of(path).get("content")
    if written not in (None, part.digest):
        raise CheckpointError(
            f"{path}: its content has sha256 {part.digest}, but it was written with {written}; convert it again"
        )
    return part


def refuse_unfit(
    path: Path,
    given: Mapping[str, Tensor],
    wanted: Mapping[str, torch.Size],
    name: Callable[[str], str] = str,
) -> None:
    """Rejects missing, unknown and wrongly shaped keys; `name` maps our key to the file's key.

    Raises:
        CheckpointError: names the first key and the number of others.
    """
    problems = [f"{name(key)} is missing" for key in sorted(wanted.keys() - given.keys())]
    problems += [f"{name(key)} is unknown" for key in sorted(given.keys() - wanted.keys())]
    problems += [
        f"{name(key)} is {tuple(given[key].shape)}, the model needs {tuple(wanted[key])}"
        for key in sorted(given.keys() & wanted.keys())
        if given[key].shape != wanted[key]
    ]
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise CheckpointError(f"{path}: {problems[0]}{more}")


def content_digest(tensors: Mapping[str, Tensor]) -> str:
    """sha256 over names, shapes and float32 values, in the order of the names."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        value = tensors[name]
        digest.update(f"{name} {tuple(value.shape)}\n".encode())
        digest.update(value.float().contiguous().numpy().data)
    return digest.hexdigest()


def facts_of(path: Path) -> dict[str, str]:
    """The metadata from `write_part`: part, layout, file, sha256 (of that file, or its shards), content."""
    if path.suffix != ".safetensors":
        return {}
    with safe_open(path, "pt") as stream:
        return {key: value for key, value in (stream.metadata() or {}).items() if key != "format"}


def write_part(part: Part, out: Path) -> dict[str, str]:
    """Writes a part atomically as one safetensors file under our names, and returns its metadata.

    Raises:
        OutputError: the file cannot be written.
    """
    facts = {
        "part": part.name,
        "layout": part.layout,
        "file": part.file.name,
        "sha256": digest_of(list(part.files)),
        "content": part.digest,
    }
    tensors = {key: value.contiguous() for key, value in part.tensors.items()}
    with new_file(out) as work:
        try:
            save_file(tensors, work, metadata={"format": "pt", **facts})
        except SafetensorError as error:
            raise OSError(one_line(error)) from error
    return facts


def read_named(name: PartName, weights: str | None) -> Part | None:
    """The part named by a configuration's field `weights`; None if it is null.

    Raises:
        FoundationWeightsError, CheckpointError: see `find_part` and `read_part`.
    """
    return None if weights is None else read_part(find_part(weights), name)


def find_part(weights: str) -> Path:
    """The converted file named by a configuration's `weights`: a file, or a known name in the cache.

    Raises:
        FoundationWeightsError: not found; the message says which file to put where.
    """
    given = Path(weights).expanduser()
    if given.exists():
        return given
    cached = cache_folder() / f"{given.name.removesuffix('.safetensors')}.safetensors"
    if cached.is_file():
        return cached
    known = FOUNDATIONS.get(weights)
    if known is None:
        raise FoundationWeightsError(
            f"the weights {weights} are neither a file nor in the cache as {cached}; convert them first"
        )
    fetch = f"run semantic-cc weights fetch {weights}, or " if known.hub else ""
    raise FoundationWeightsError(
        f"the weights {weights} are not in the cache ({cached}): {fetch}get {known.original} and run "
        "semantic-cc weights convert FILE"
    )


def load_part(module: nn.Module, part: Part) -> None:
    """Loads a part into our module; resamples SAM's position embeddings to another size.

    Raises:
        CheckpointError: a key is missing, unknown, or of another shape; the message names it.
    """
    state = module.state_dict()
    fitted = {
        key: resampled(key, value, state[key]) if key in state else value
        for key, value in part.tensors.items()
    }
    refuse_unfit(part.file, fitted, {key: value.shape for key, value in state.items()})
    module.load_state_dict(fitted)
