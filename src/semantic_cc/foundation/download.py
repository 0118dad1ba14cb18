"""Downloads foundation weights from the Hugging Face Hub: only the required files, resumable, checked by sha256."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from semantic_cc.errors import CheckpointError, FoundationWeightsError, InputError
from semantic_cc.files import digest_of
from semantic_cc.foundation.catalogue import FOUNDATIONS, Foundation
from semantic_cc.foundation.key_mapping import TABLES, Dropped
from semantic_cc.foundation.weight_files import INDEXES, SINGLES, is_pickle

TEXT = (".json", ".model", ".txt")
"""Suffixes of the small files beside the weights: configuration and tokenizer."""


def fetchable(name: str) -> tuple[str, Foundation]:
    """The known model on the Hub whose name is `name` or starts with it.

    Raises:
        InputError: there is none, or there are several.
    """
    on_hub = {key: known for key, known in FOUNDATIONS.items() if known.hub}
    found = [name] if name in on_hub else [key for key in on_hub if key.startswith(name)]
    if len(found) != 1:
        raise InputError(f"no model {name!r} to fetch; choose one of: {', '.join(on_hub)}")
    return found[0], on_hub[found[0]]


def fetch(name: str, offline: bool = False) -> Path:
    """Downloads a known model. Skips complete files and resumes partial ones.

    Args:
        name: a known name.
        offline: use only the Hub's local cache, no network; also set by $HF_HUB_OFFLINE.

    Returns:
        The folder, in the Hugging Face layout.

    Raises:
        FoundationWeightsError: not available; the message says which file to put where.
        CheckpointError: a file does not match the digest on the Hub.
    """
    from huggingface_hub import HfApi, constants, hf_hub_download, snapshot_download

    name, known = fetchable(name)
    hub, offline = str(known.hub), offline or constants.HF_HUB_OFFLINE
    try:
        if offline:
            return Path(snapshot_download(hub, local_files_only=True))
        info = HfApi().model_info(hub, files_metadata=True)
        listed = _listed(info.siblings or [])
        index = next((file for file in INDEXES if file in listed), None)
        shards = None
        if index and SINGLES[INDEXES.index(index)] not in listed:
            shards = _shards(Path(hf_hub_download(hub, index, revision=info.sha)), known.part)
        wanted = _wanted(listed, shards)
        folder = Path(snapshot_download(hub, revision=info.sha, allow_patterns=wanted))
    except Exception as error:  # the Hub's client raises many types; all mean "not available"
        where = "in the hub's cache on this machine" if offline else "available from the hub"
        raise FoundationWeightsError(
            f"{hub} is not {where} ({type(error).__name__}): get {known.original}, and run "
            f"semantic-cc weights convert PATH --name {name}"
        ) from error
    for file in wanted:
        announced = listed[file]
        if announced is not None and digest_of([folder / file]) != announced:
            raise CheckpointError(
                f"{folder / file}: does not have the sha256 {announced} that the hub states; delete it and fetch it "
                "again"
            )
    return folder


def _listed(siblings: Iterable[object]) -> dict[str, str | None]:
    """File -> its sha256; None for small files, for which the Hub has no sha256."""
    listed = {}
    for sibling in siblings:
        lfs = getattr(sibling, "lfs", None)
        listed[str(getattr(sibling, "rfilename", ""))] = None if lfs is None else str(lfs.sha256)
    return listed


def _wanted(listed: dict[str, str | None], shards: set[str] | None) -> list[str]:
    """Configuration, tokenizer, and one copy of the weights: safetensors if available."""
    weights = shards or {next((file for file in SINGLES if file in listed), "")}
    small = {file for file in listed if "/" not in file and file.endswith(TEXT)}
    if not any(is_pickle(Path(file)) for file in weights):
        small -= {INDEXES[1]}
    return sorted(listed.keys() & (weights | small))


def _shards(index: Path, part: str) -> set[str]:
    """The shards with the tensors we need: all of a language model, few of BLIP-2."""
    places = json.loads(index.read_text())["weight_map"]
    table = next((table for table in TABLES if table.part == part and table.mark in places), None)
    return {file for key, file in places.items() if table is None or not isinstance(table.ours(key), Dropped)}
