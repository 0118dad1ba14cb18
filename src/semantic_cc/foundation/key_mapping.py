"""Tensor names of the foundation checkpoints: their names -> ours, and which tensors are dropped, with the reason.

In a pattern, ``#`` stands for a layer number and a final ``*`` for the rest of the name; our pattern repeats them.
Our names are relative to the part: transformers' SAM vision encoder; our caption decoder; MiniGPT-4's projection.
Sources: ``segment_anything`` 1.0 (modeling/), ``transformers`` 5 (SamModel, Blip2*), LAVIS (models/blip2_models/:
blip2.py, Qformer.py, blip2_qformer.py, blip2_t5.py, blip2_opt.py), MiniGPT-4 (models/mini_gpt4.py;
runners/runner_base.py saves the trained parameters and all buffers).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

PartName = Literal["encoder", "qformer", "enhancer"]


@dataclass(frozen=True)
class Dropped:
    """A tensor that is deliberately not loaded.

    Attributes:
        why: the reason, shown to users.
    """

    why: str


@dataclass(frozen=True)
class KeyMapping:
    """The tensor names of a part in one layout.

    Attributes:
        part: the part of our model.
        layout: the layout's name, shown to users.
        mark: a key that occurs in no other layout.
        keys: pattern -> our pattern, or `Dropped` with the reason.
    """

    part: PartName
    layout: str
    mark: str
    keys: Mapping[str, str | Dropped]

    def ours(self, key: str) -> str | Dropped | None:
        """Our name for their `key`, the reason it is dropped, or None if the table does not list it."""
        for pattern, target in self.keys.items():
            if isinstance(target, Dropped):
                if _compiled(pattern).fullmatch(key):
                    return target
            elif moved := _moved(key, pattern, target):
                return moved
        return None

    def theirs(self, key: str) -> str:
        """Their name for our `key`; `key` itself if the table does not list it."""
        names = (
            _moved(key, ours, theirs) for theirs, ours in self.keys.items() if not isinstance(ours, Dropped)
        )
        return next((name for name in names if name), key)


def _moved(key: str, pattern: str, target: str) -> str | None:
    """`key` rewritten from `pattern` to `target`; None if it does not match."""
    found = _compiled(pattern).fullmatch(key)
    if found is None:
        return None
    groups = iter(found.groups())
    return re.sub(r"[#*]", lambda _: next(groups), target)


@functools.cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(re.escape(pattern).replace(r"\#", r"(\d+)").replace(r"\*", "(.+)"))


def mapping_of(keys: Iterable[str]) -> KeyMapping | None:
    """The table whose mark is among `keys`; None = unknown layout."""
    present = set(keys)
    return next((table for table in TABLES if table.mark in present), None)


_PROMPTS = Dropped("SAM's prompts and masks: only its image encoder is used")
_TEXT = Dropped("reads text: our Q-Former sees only images, as MiniGPT-4's does")
_PRETRAINING = Dropped("a head of BLIP-2's own pretraining")
_VISION = Dropped("BLIP-2's image encoder: SAM takes its place")
_OTHER_LLM = Dropped("leads to, or is, the language model of that BLIP-2: another one takes its place")
_BUFFER = Dropped("a constant that the code computes")

SAM_META = KeyMapping(
    "encoder",
    "SAM, Meta's .pth",
    "image_encoder.pos_embed",
    {
        "image_encoder.pos_embed": "pos_embed",
        "image_encoder.patch_embed.proj.*": "patch_embed.projection.*",
        "image_encoder.blocks.#.norm1.*": "layers.#.layer_norm1.*",
        "image_encoder.blocks.#.norm2.*": "layers.#.layer_norm2.*",
        "image_encoder.blocks.#.attn.*": "layers.#.attn.*",
        "image_encoder.blocks.#.mlp.*": "layers.#.mlp.*",
        "image_encoder.neck.0.*": "neck.conv1.*",
        "image_encoder.neck.1.*": "neck.layer_norm1.*",
        "image_encoder.neck.2.*": "neck.conv2.*",
        "image_encoder.neck.3.*": "neck.layer_norm2.*",
        "prompt_encoder.*": _PROMPTS,
        "mask_decoder.*": _PROMPTS,
    },
)

SAM_TRANSFORMERS = KeyMapping(
    "encoder",
    "SAM, Hugging Face's",
    "vision_encoder.pos_embed",
    {
        "vision_encoder.*": "*",
        "shared_image_embedding.positional_embedding": _PROMPTS,
        "prompt_encoder.*": _PROMPTS,
        "mask_decoder.*": _PROMPTS,
    },
)

_LAYER, _OUR_LAYER = "Qformer.bert.encoder.layer.#", "qformer.body.encoder.layer.#"

BLIP2_LAVIS = KeyMapping(
    "qformer",
    "BLIP-2, LAVIS' .pth",
    "Qformer.bert.embeddings.LayerNorm.weight",
    {
        "query_tokens": "queries",
        "ln_vision.*": "ln_vision.*",
        "Qformer.bert.embeddings.LayerNorm.*": "qformer.body.layernorm.*",
        f"{_LAYER}.attention.self.*": f"{_OUR_LAYER}.attention.attention.*",
        f"{_LAYER}.attention.output.*": f"{_OUR_LAYER}.attention.output.*",
        f"{_LAYER}.crossattention.self.*": f"{_OUR_LAYER}.crossattention.attention.*",
        f"{_LAYER}.crossattention.output.*": f"{_OUR_LAYER}.crossattention.output.*",
        f"{_LAYER}.intermediate_query.*": f"{_OUR_LAYER}.intermediate_query.*",
        f"{_LAYER}.output_query.*": f"{_OUR_LAYER}.output_query.*",
        f"{_LAYER}.intermediate.*": _TEXT,
        f"{_LAYER}.output.*": _TEXT,
        "Qformer.bert.embeddings.word_embeddings.weight": _TEXT,
        "Qformer.bert.embeddings.position_embeddings.weight": _TEXT,
        "Qformer.bert.embeddings.position_ids": _BUFFER,
        "Qformer.cls.*": _TEXT,
        "vision_proj.*": _PRETRAINING,
        "text_proj.*": _PRETRAINING,
        "itm_head.*": _PRETRAINING,
        "temp": _PRETRAINING,
        "visual_encoder.*": _VISION,
        "t5_proj.*": _OTHER_LLM,
        "t5_model.*": _OTHER_LLM,
        "opt_proj.*": _OTHER_LLM,
        "opt_model.*": _OTHER_LLM,
    },
)

BLIP2_TRANSFORMERS = KeyMapping(
    "qformer",
    "BLIP-2, Hugging Face's",
    "qformer.layernorm.weight",
    {
        "query_tokens": "queries",
        "vision_model.post_layernorm.*": "ln_vision.*",
        "qformer.layernorm.*": "qformer.body.layernorm.*",
        "qformer.encoder.layer.#.attention.*": f"{_OUR_LAYER}.attention.*",
        "qformer.encoder.layer.#.crossattention.*": f"{_OUR_LAYER}.crossattention.*",
        "qformer.encoder.layer.#.intermediate_query.*": f"{_OUR_LAYER}.intermediate_query.*",
        "qformer.encoder.layer.#.output_query.*": f"{_OUR_LAYER}.output_query.*",
        "qformer.encoder.layer.#.intermediate.*": _TEXT,
        "qformer.encoder.layer.#.output.*": _TEXT,
        "embeddings.*": _TEXT,
        "vision_projection.*": _PRETRAINING,
        "text_projection.*": _PRETRAINING,
        "itm_head.*": _PRETRAINING,
        "vision_model.embeddings.*": _VISION,
        "vision_model.encoder.*": _VISION,
        "language_projection.*": _OTHER_LLM,
        "language_model.*": _OTHER_LLM,
    },
)

MINIGPT4 = KeyMapping(
    "enhancer",
    "MiniGPT-4's .pth",
    "llama_proj.weight",
    {
        "llama_proj.*": "llama_proj.*",
        "llama_model.model.layers.#.self_attn.rotary_emb.inv_freq": _BUFFER,
        "Qformer.bert.embeddings.position_ids": _BUFFER,
    },
)

OWN = (
    KeyMapping("encoder", "SAM, converted", "pos_embed", {"*": "*"}),
    KeyMapping("qformer", "Q-Former, converted", "qformer.body.layernorm.weight", {"*": "*"}),
)
"""The layouts that this package writes (MiniGPT-4's names are kept)."""

TABLES = (SAM_META, SAM_TRANSFORMERS, BLIP2_LAVIS, BLIP2_TRANSFORMERS, MINIGPT4, *OWN)
