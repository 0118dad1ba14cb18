"""Converts official files into the cache, under short names for configurations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from semantic_cc.errors import CheckpointError, InputError
from semantic_cc.foundation import llm_conversion, llm_files
from semantic_cc.foundation.catalogue import FOUNDATIONS, cache_folder
from semantic_cc.foundation.key_mapping import mapping_of
from semantic_cc.foundation.parts import Part, read_part, write_part
from semantic_cc.foundation.weight_files import TensorFiles

FIELDS = {
    "encoder": "model.encoder.weights",
    "qformer": "model.qformer.weights",
    "enhancer": "model.enhancer.weights",
    "llm": "model.llm.name",
}
"""Part -> the configuration field that names its weights."""


@dataclass(frozen=True)
class Converted:
    """The result of a conversion.

    Attributes:
        part: encoder, qformer, enhancer or llm.
        path: the file, or the folder of a language model.
        value: the value for the part's configuration field.
        sha256: of the source.
        sizes: of the part; empty for a language model.
        loaded: number of converted tensors.
        dropped: reason -> number of omitted tensors.
    """

    part: str
    path: Path
    value: str
    sha256: str
    sizes: Mapping[str, object] = field(default_factory=dict)
    loaded: int = 0
    dropped: dict[str, int] = field(default_factory=dict)

    @property
    def is_official(self) -> bool:
        """Whether the catalogue lists the source's sha256."""
        return any(self.sha256 in known.digests for known in FOUNDATIONS.values())


def convert(source: str, name: str | None = None, out: Path | None = None) -> Converted:
    """Converts SAM, BLIP-2, MiniGPT-4 or a language model; the content of the file determines which.

    Args:
        source: a .pth or .safetensors file, a folder in the Hugging Face layout, a GGUF file, or the Hub id of a
            language model.
        name: its name in the cache; by default the known name for its sizes, or the folder's name for a language model.
        out: a .safetensors file to write instead; not for a language model.

    Raises:
        CheckpointError: the source is none of these, or incomplete; the message names the key.
        FoundationWeightsError: the Hub id is not available, or the cache cannot be written.
        InputError: a name is required, or the arguments contradict each other.
        OutputError: `out` cannot be written.
    """
    if out is not None and (name is not None or out.suffix != ".safetensors"):
        raise InputError(
            f"--out {out}: must be a .safetensors file, and --name is for the cache; give one of them"
        )
    path = Path(source).expanduser()
    if not path.exists() and path.suffix in (".pth", ".pt", ".bin", ".safetensors", ".gguf"):
        raise CheckpointError(f"{path}: no such file; check the path")
    is_part = (
        path.exists()
        and path.suffix != ".gguf"
        and mapping_of(TensorFiles(path, pickles=True).place) is not None
    )
    if not is_part and path.is_file() and path.suffix != ".gguf":
        read_part(path, pickles=True)  # raises the error that explains the problem
    return _convert_part(path, name, out) if is_part else _convert_llm(source, name, out)


def _convert_part(path: Path, name: str | None, out: Path | None) -> Converted:
    part = read_part(path, pickles=True)
    name = name or known_name(part)
    if out is None and name is None:
        raise InputError(
            f"{path}: is not a model with a known name (it has {asdict(part.sizes)}); give --name or --out"
        )
    target = out or cache_folder() / f"{name}.safetensors"
    facts = write_part(part, target)
    dropped: dict[str, int] = {}
    for why in part.dropped.values():
        dropped[why] = dropped.get(why, 0) + 1
    value = str(out) if out else str(name)
    return Converted(
        part.name, target, value, facts["sha256"], asdict(part.sizes), len(part.tensors), dropped
    )


def known_name(part: Part) -> str | None:
    """The catalogue's name for a part with these sizes."""
    for name, known in FOUNDATIONS.items():
        if known.part == part.name and known.sizes.items() <= asdict(part.sizes).items():
            return name
    return None


def _convert_llm(source: str, name: str | None, out: Path | None) -> Converted:
    if out is not None:
        raise InputError(
            f"--out {out}: a language model goes into the cache; give --name, and $SEMANTIC_CC_CACHE"
        )
    path = Path(source).expanduser()
    name = name or (path.stem if path.is_file() else path.name)
    given = path if path.exists() else llm_files.from_hub(source, None)
    folder, digest = llm_files.prepared(given, name)
    llm_conversion.whole_model(folder, dtype="auto")
    if folder == given:
        llm_files.remember(folder, digest, name)
    return Converted("llm", folder, name, digest)
