"""Checks converted weights: digests, tensors, and outputs compared with the reference implementation's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, Blip2QFormerConfig, SamVisionConfig, SamVisionModel
from transformers.models.blip_2.modeling_blip_2 import Blip2QFormerModel

from semantic_cc.config import EncoderConfig, QFormerConfig
from semantic_cc.errors import CheckpointError
from semantic_cc.files import digest_of
from semantic_cc.foundation import key_mapping, llm_conversion, llm_files
from semantic_cc.foundation.catalogue import FOUNDATIONS
from semantic_cc.foundation.parts import Part, facts_of, find_part, load_part, read_part
from semantic_cc.foundation.reference_models import segment_anything
from semantic_cc.foundation.tensor_shapes import (
    EncoderSizes,
    ProjectionSizes,
    QFormerSizes,
    qformer_part,
    sam_vision,
)
from semantic_cc.foundation.weight_files import TensorFiles
from semantic_cc.model.encoder import BitemporalEncoder
from semantic_cc.model.enhancer import Enhancer
from semantic_cc.model.qformer import QFormer


def verify(name: str, source: Path | None = None) -> Iterator[str]:
    """Checks converted weights; yields one line per passed check.

    Args:
        name: a converted .safetensors file, a known name in the cache, or a language model's name or folder.
        source: the original file; None = check only against the recorded metadata.

    Raises:
        CheckpointError: a check fails; the message says which.
        FoundationWeightsError: the weights are not found.
    """
    known = FOUNDATIONS.get(name)
    if (
        Path(name).is_dir()
        or Path(name).suffix == ".gguf"
        or (known and known.part == "llm")
        or llm_files.is_cached(name)
    ):
        yield from _verify_llm(name, source)
        return
    path = find_part(name)
    part = read_part(path)
    facts = facts_of(path)
    yield f"{path}: {len(part.tensors)} tensors, content sha256 {part.digest}" + (
        ", as it was written" if "content" in facts else ", which it does not state"
    )
    if "sha256" in facts:
        yield f"it comes from {facts['file']}, sha256 {facts['sha256']}, {_standing(facts['sha256'])}"
    if source is None:
        return
    original = read_part(source, part.name, pickles=True)
    digest = digest_of(list(original.files))
    if facts.get("sha256") not in (None, digest):
        raise CheckpointError(
            f"{source}: has sha256 {digest}, but {path} comes from {facts['sha256']}; give that file"
        )
    if original.digest != part.digest:
        raise CheckpointError(
            f"{path}: its tensors are not those of {source} (content sha256 {original.digest}); convert it again"
        )
    yield f"{source}: its {len(part.tensors)} tensors are the same, and {len(original.dropped)} are left out on purpose"
    yield _beside_theirs(part, source)


def _standing(digest: str) -> str:
    names = [name for name, known in FOUNDATIONS.items() if digest in known.digests]
    return f"the official file of {names[0]}" if names else "which is not a known official digest"


def _beside_theirs(part: Part, source: Path) -> str:
    """Compares the outputs of the reference model, loaded from the source, and of ours on a fixed input."""
    layout = key_mapping.mapping_of(TensorFiles(source, pickles=True).place)
    runs: dict[str, Callable[[Part, Path], tuple[Tensor, Tensor] | None]] = {
        key_mapping.SAM_META.layout: _meta_sam,
        key_mapping.SAM_TRANSFORMERS.layout: _transformers_sam,
        key_mapping.BLIP2_TRANSFORMERS.layout: _transformers_blip2,
        key_mapping.MINIGPT4.layout: _minigpt4,
    }
    run = runs.get(layout.layout if layout else "")
    with torch.inference_mode():
        outputs = run(part, source) if run else None
    if outputs is None:
        return "outputs are not compared: theirs does not run here (LAVIS' code, or segment-anything not installed)"
    return _same(*outputs)


def _same(theirs: Tensor, ours: Tensor) -> str:
    difference = float((theirs - ours).abs().max())
    # summation order differs: at most 1e-5 over the 12 layers of a full-size SAM ViT-B with random weights
    if difference > 1e-4 * float(theirs.abs().max()):
        raise CheckpointError(
            f"the original and our code give different outputs for a fixed input: up to {difference:.2g} apart"
        )
    return (
        f"the original and our code give the same output for a fixed input (at most {difference:.2g} apart)"
    )


def _state(source: Path, prefix: str) -> dict[str, Tensor]:
    whole = TensorFiles(source, pickles=True)
    names = [name for name in whole.place if name.startswith(prefix)]
    return {name.removeprefix(prefix): value.float() for name, value in whole.tensors(names).items()}


def _encoder_sizes(part: Part) -> EncoderSizes:
    assert isinstance(part.sizes, EncoderSizes)
    return part.sizes


def _our_sam(part: Part) -> tuple[Tensor, Tensor]:
    """A fixed image as SAM's input (1, 3, H, W), and our features of it (1, e, h, w)."""
    sizes = _encoder_sizes(part)
    vision = sam_vision(EncoderConfig(**asdict(sizes)))
    load_part(vision, part)
    encoder = BitemporalEncoder(vision, {}).eval()
    side = sizes.image_size
    image = torch.linspace(0, 60, 3 * side * side).sin().view(1, 3, side, side) / 2 + 0.5
    features = encoder(image, image).change[:1]  # same image for both dates
    return (image - encoder.mean) / encoder.std, features.permute(0, 3, 1, 2)


def _transformers_sam(part: Part, source: Path) -> tuple[Tensor, Tensor]:
    (pixels, ours), sizes = _our_sam(part), _encoder_sizes(part)
    config = SamVisionConfig(
        hidden_size=sizes.width,
        num_hidden_layers=sizes.depth,
        num_attention_heads=sizes.heads,
        mlp_dim=4 * sizes.width,
        window_size=sizes.window,
        global_attn_indexes=list(sizes.global_layers),
        image_size=sizes.image_size,
        output_channels=sizes.change_width,
    )
    theirs = SamVisionModel(config).eval()
    theirs.vision_encoder.load_state_dict(_state(source, "vision_encoder."))
    return theirs(pixels).last_hidden_state, ours


def _meta_sam(part: Part, source: Path) -> tuple[Tensor, Tensor] | None:
    build, sizes = segment_anything(), _encoder_sizes(part)
    if build is None:
        return None
    pixels, ours = _our_sam(part)
    theirs = build.ImageEncoderViT(
        img_size=sizes.image_size,
        embed_dim=sizes.width,
        depth=sizes.depth,
        num_heads=sizes.heads,
        window_size=sizes.window,
        global_attn_indexes=list(sizes.global_layers),
        out_chans=sizes.change_width,
        norm_layer=partial(nn.LayerNorm, eps=1e-6),
        qkv_bias=True,
        use_rel_pos=True,
    ).eval()
    theirs.load_state_dict(_state(source, "image_encoder."))
    return theirs(pixels), ours


def _transformers_blip2(part: Part, source: Path) -> tuple[Tensor, Tensor]:
    sizes = part.sizes
    assert isinstance(sizes, QFormerSizes)
    heads = max(1, sizes.width // 64)  # BERT's head width; no tensor shape depends on the number of heads
    config: dict[str, Any] = {
        "hidden_size": sizes.width,
        "num_hidden_layers": sizes.layers,
        "num_attention_heads": heads,
        "intermediate_size": 4 * sizes.width,
        "encoder_hidden_size": sizes.encoder_width,
    }
    theirs = Blip2QFormerModel(Blip2QFormerConfig(**config)).eval()
    state = _state(source, "qformer.")
    theirs.load_state_dict({key: state[key] for key in theirs.state_dict()})
    ours = QFormer(QFormerConfig(heads=heads, **asdict(sizes))).eval()
    queries = nn.Parameter(torch.zeros(1, sizes.queries, sizes.width))
    load_part(qformer_part(queries, nn.LayerNorm(sizes.encoder_width), ours), part)
    tokens = torch.linspace(0, 60, 16 * sizes.encoder_width).sin().view(1, 16, -1)
    their_queries = _state(source, "query_tokens")[""]
    expected = theirs(query_embeds=their_queries, encoder_hidden_states=tokens).last_hidden_state
    return expected, ours(queries, tokens)


def _minigpt4(part: Part, source: Path) -> tuple[Tensor, Tensor]:
    """With equal dates and gates off, the enhancer must return the projection's output."""
    state = _state(source, "llama_proj.")
    sizes = part.sizes
    assert isinstance(sizes, ProjectionSizes)
    projection = nn.Linear(sizes.width, sizes.llm_width)
    load_part(nn.ModuleDict({"llama_proj": projection}), part)
    ours = Enhancer(sizes.width, sizes.llm_width, activation=False)
    ours.start_from(projection)
    output = torch.linspace(0, 60, 4 * sizes.width).sin().view(1, 4, -1)
    return nn.functional.linear(output, state["weight"], state["bias"]), ours(output, output)


def _verify_llm(name: str, source: Path | None) -> Iterator[str]:
    folder, digest = llm_files.find(name)
    stated = llm_files.stated_digest(folder, digest)
    yield f"{folder}: sha256 {digest}, {stated}; {_standing(digest)}"
    ours = llm_conversion.whole_model(folder, dtype="auto").eval()
    yield f"it is whole: {sum(value.numel() for value in ours.parameters()):,} parameters, all of them numbers"
    if source is None:
        return
    place = {"gguf_file": source.name} if source.is_file() else {}
    files = [source] if source.is_file() else TensorFiles(source, pickles=True).checked()
    if digest_of(files) != digest:
        raise CheckpointError(f"{source}: has sha256 {digest_of(files)}, but {folder} comes from {digest}")
    theirs = AutoModelForCausalLM.from_pretrained(
        source.parent if place else source, dtype=torch.float32, **place
    ).eval()
    for parameter in theirs.parameters():  # not .to(dtype), which would round the rotary frequencies too
        parameter.data = parameter.data.to(ours.dtype)
    ids = torch.arange(3, 35)[None]
    with torch.inference_mode():
        yield _same(theirs(ids).logits.float(), ours(ids).logits.float())
