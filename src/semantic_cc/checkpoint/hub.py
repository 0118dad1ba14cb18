"""Models on the Hugging Face hub: down by id, up from a folder."""

from __future__ import annotations

import re
from pathlib import Path

from semantic_cc.errors import CheckpointError, SemanticCCError

FILES = ["config.json", "model.safetensors", "README.md", "llm/*"]
"""What a published model consists of."""


def is_hub_id(name: str) -> bool:
    """Whether a text has the form owner/model."""
    return re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", name) is not None


def download_model(name: str) -> Path:
    """The folder of the model `name`, fetched once into the hub's own cache, or from there without a network.

    Raises:
        CheckpointError: neither there nor reachable.
    """
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, allow_patterns=FILES))
    except Exception as error:  # the hub's client raises many kinds; all mean "not to be had"
        raise CheckpointError(
            f"no model {name!r}: it is no folder here, not in the hub's cache, and not to be had from the hub "
            f"({type(error).__name__}); give a model folder"
        ) from error


def upload_model(folder: Path, name: str, private: bool) -> str:
    """Publishes the files of a model folder as `name`; the repository is made if need be. Returns its address.

    Raises:
        SemanticCCError: the hub refuses or cannot be reached.
    """
    from huggingface_hub import HfApi

    api = HfApi()
    try:
        address = api.create_repo(name, private=private, exist_ok=True)
        api.upload_folder(repo_id=name, folder_path=folder, allow_patterns=FILES)
    except Exception as error:  # the hub's client raises many kinds
        raise SemanticCCError(
            f"cannot publish {folder} as {name}: {' '.join(str(error).split())[:200]}; log in with "
            "'hf auth login', or upload the folder yourself"
        ) from error
    return str(address)
