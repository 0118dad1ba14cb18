"""Models on the Hugging Face Hub: download by id, upload from a folder."""

from __future__ import annotations

import re
from pathlib import Path

from semantic_cc.errors import CheckpointError, SemanticCCError

FILES = ["config.json", "model.safetensors", "README.md", "llm/*"]
"""The files of a published model."""


def is_hub_id(name: str) -> bool:
    """Whether `name` has the form owner/model."""
    return re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", name) is not None


def download_model(name: str) -> Path:
    """Downloads the model `name` once into the Hub's local cache; without network, uses the cache.

    Raises:
        CheckpointError: the model does not exist or cannot be reached.
    """
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, allow_patterns=FILES))
    except Exception as error:  # the Hub's client raises many types; all mean "not available"
        raise CheckpointError(
            f"no model {name!r}: it is not a folder here, not in the hub's cache, and cannot be downloaded from the "
            f"hub ({type(error).__name__}); give a model folder"
        ) from error


def upload_model(folder: Path, name: str, private: bool) -> str:
    """Publishes a model folder as `name`, creates the repository if necessary, and returns its URL.

    Raises:
        SemanticCCError: the Hub rejects the upload or cannot be reached.
    """
    from huggingface_hub import HfApi

    api = HfApi()
    try:
        address = api.create_repo(name, private=private, exist_ok=True)
        api.upload_folder(repo_id=name, folder_path=folder, allow_patterns=FILES)
    except Exception as error:  # the Hub's client raises many types
        raise SemanticCCError(
            f"cannot publish {folder} as {name}: {' '.join(str(error).split())[:200]}; log in with "
            "'hf auth login', or upload the folder yourself"
        ) from error
    return str(address)
