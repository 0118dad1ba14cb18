"""Foundation checkpoints in their official layouts: tiny ones by the reference implementations, full-size key lists.

The tiny SAM has 4 layers of width 32 (1 and 3 global, windows of 3) and reads 128 pixels; the tiny BLIP-2 has a
Q-Former of 4 layers of width 32 that reads width 24.
"""

import json
import re
from functools import partial
from pathlib import Path
from typing import Any

import torch
from required import missing
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import (
    Blip2Config,
    Blip2ForConditionalGeneration,
    Blip2ForImageTextRetrieval,
    LlamaConfig,
    LlamaForCausalLM,
    OPTConfig,
    SamConfig,
    SamModel,
)

from semantic_cc.foundation import reference_models

Shapes = dict[str, tuple[int, ...]]

SAM_OURS = {
    "width": 32, "depth": 4, "heads": 2, "window": 3, "global_layers": [1, 3], "change_width": 16, "bcsf": False,
}  # fmt: skip
"""The tiny SAM's sizes in our configuration; `image_size` is the test's."""

QFORMER_OURS = {"queries": 3, "width": 32, "layers": 4, "heads": 4, "encoder_width": 24}


def shaken(module: nn.Module, seed: int = 0) -> nn.Module:
    """The same random weights at each call, norms and tables that start at zero too."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            is_gain = parameter.ndim == 1 and name.endswith("weight")
            parameter.copy_(0.2 * torch.randn(parameter.shape, generator=generator) + float(is_gain))
    return module.eval()


def meta_sam(side: int = 8) -> nn.Module:
    """Meta's own Sam, `side` tokens a side."""
    build = reference_models.segment_anything()
    if build is None:
        missing("segment-anything is not installed (pip install segment-anything)")
    encoder = build.ImageEncoderViT(
        depth=4, embed_dim=32, img_size=16 * side, mlp_ratio=4, num_heads=2, patch_size=16, qkv_bias=True,
        norm_layer=partial(nn.LayerNorm, eps=1e-6), use_rel_pos=True, global_attn_indexes=[1, 3], window_size=3,
        out_chans=16,
    )  # fmt: skip
    prompts = build.PromptEncoder(
        embed_dim=16,
        image_embedding_size=(side, side),
        input_image_size=(16 * side, 16 * side),
        mask_in_chans=16,
    )
    masks = build.MaskDecoder(
        num_multimask_outputs=3,
        transformer=build.TwoWayTransformer(depth=2, embedding_dim=16, mlp_dim=32, num_heads=2),
        transformer_dim=16, iou_head_depth=3, iou_head_hidden_dim=16,
    )  # fmt: skip
    return shaken(build.Sam(image_encoder=encoder, prompt_encoder=prompts, mask_decoder=masks))


def hf_sam(side: int = 8) -> SamModel:
    """Hugging Face's SamModel, `side` tokens a side."""
    vision = {
        "hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 2, "mlp_dim": 128, "window_size": 3,
        "global_attn_indexes": [1, 3], "image_size": 16 * side, "patch_size": 16, "output_channels": 16,
        "num_pos_feats": 8,
    }  # fmt: skip
    prompts = {"hidden_size": 16, "image_size": 16 * side, "patch_size": 16, "mask_input_channels": 16}
    masks = {
        "hidden_size": 16, "mlp_dim": 32, "num_attention_heads": 2, "num_hidden_layers": 2,
        "iou_head_hidden_dim": 16,
    }  # fmt: skip
    config = SamConfig(vision_config=vision, prompt_encoder_config=prompts, mask_decoder_config=masks)
    return shaken(SamModel(config))


BLIP2_VISION = {
    "hidden_size": 24, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 28,
    "patch_size": 14, "layer_norm_eps": 1e-5,  # LAVIS' ln_vision has torch's epsilon
}  # fmt: skip
BLIP2_QFORMER = {
    "hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 128,
    "encoder_hidden_size": 24, "vocab_size": 50,
}  # fmt: skip


def hf_blip2(retrieval: bool = False) -> nn.Module:
    """Hugging Face's BLIP-2 with a language model (OPT), or the one that compares images and texts."""
    text = OPTConfig(
        vocab_size=50, hidden_size=16, ffn_dim=32, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=32, word_embed_proj_dim=16,
    )  # fmt: skip
    config = Blip2Config(
        vision_config=BLIP2_VISION,
        qformer_config={**BLIP2_QFORMER, "use_qformer_text_input": retrieval},
        text_config=text.to_dict(),
        num_query_tokens=3,
        image_text_hidden_size=8,
    )
    return shaken((Blip2ForImageTextRetrieval if retrieval else Blip2ForConditionalGeneration)(config))


def lavis_of(model: nn.Module) -> dict[str, Tensor]:
    """LAVIS' state dict of a Hugging Face BLIP-2 with a T5: transformers' conversion script backwards."""
    state = {}
    for key, value in model.state_dict().items():
        if key == "query_tokens":
            state[key] = value
        elif key.startswith("vision_model.post_layernorm."):
            state[key.replace("vision_model.post_layernorm", "ln_vision")] = value
        elif key.startswith("language_projection."):
            state[key.replace("language_projection", "t5_proj")] = value
        elif key.startswith("qformer."):
            theirs = key.replace("qformer.", "Qformer.bert.", 1).replace(
                "attention.attention.", "attention.self."
            )
            state[theirs.replace("bert.layernorm.", "bert.embeddings.LayerNorm.")] = value
    state["Qformer.bert.embeddings.position_ids"] = torch.arange(20)[None]
    return state


def llama(width: int = 32, **options: Any) -> LlamaForCausalLM:
    """A tiny LLaMA."""
    sizes = {"vocab_size": 259, "hidden_size": width, "intermediate_size": 64, "num_hidden_layers": 2}
    return shaken(
        LlamaForCausalLM(LlamaConfig(**sizes, num_attention_heads=2, num_key_value_heads=1, **options))
    )


def minigpt4(width: int = 32, llm_width: int = 32, layers: int = 2) -> dict[str, Any]:
    """MiniGPT-4's checkpoint: what trains, every buffer, and the run's own state (runner_base.py)."""
    generator = torch.Generator().manual_seed(3)
    buffer = "llama_model.model.layers.{}.self_attn.rotary_emb.inv_freq"
    state = {
        "llama_proj.weight": torch.randn(llm_width, width, generator=generator),
        "llama_proj.bias": torch.randn(llm_width, generator=generator),
        "Qformer.bert.embeddings.position_ids": torch.arange(512)[None],
        **{buffer.format(i): torch.ones(64) for i in range(layers)},
    }
    run = {"optimizer": {"state": {}, "param_groups": [{"lr": 1e-4}]}, "config": {"run": {"seed": 42}}}
    return {"model": state, **run, "scaler": {"scale": 65536.0}, "epoch": 4}


def save_pickle(state: dict[str, Any], path: Path) -> Path:
    torch.save(state, path)
    return path


def shapes(module: nn.Module) -> Shapes:
    return {key: tuple(value.shape) for key, value in module.state_dict().items()}


def full_meta_sam(size: str) -> Shapes:
    """Keys and shapes of sam_vit_b, sam_vit_l, sam_vit_h as Meta's code builds them, on the meta device."""
    build = reference_models.segment_anything()
    if build is None:
        missing("segment-anything is not installed (pip install segment-anything)")
    with torch.device("meta"):
        return shapes(build.sam_model_registry[f"vit_{size}"]())


def full_hf_sam(width: int, depth: int, heads: int, global_layers: list[int]) -> Shapes:
    vision = {
        "hidden_size": width, "num_hidden_layers": depth, "num_attention_heads": heads, "mlp_dim": 4 * width,
        "global_attn_indexes": global_layers,
    }  # fmt: skip
    with torch.device("meta"):
        return shapes(SamModel(SamConfig(vision_config=vision)))


def full_hf_blip2(retrieval: bool) -> Shapes:
    """Salesforce/blip2-flan-t5-xxl but for the T5's own layers, or Salesforce/blip2-itm-vit-g."""
    qformer = {"use_qformer_text_input": retrieval, "vocab_size": 30523}
    text = OPTConfig(hidden_size=4096, num_hidden_layers=1, num_attention_heads=32)
    config = Blip2Config(qformer_config=qformer, text_config=text.to_dict())
    with torch.device("meta"):
        return shapes((Blip2ForImageTextRetrieval if retrieval else Blip2ForConditionalGeneration)(config))


# Rules of LAVIS' files, # = a layer's number and (first, last, step) its range. Taken from LAVIS 1.0.2's own
# BertLMHeadModel built on the meta device with the configuration of Blip2Base.init_Qformer.
_LINEAR = {"weight": (768, 768), "bias": (768,)}
_NORM = {"weight": (768,), "bias": (768,)}
_ATTENTION = {
    **{f"self.{name}.{kind}": shape for name in ("query", "key", "value") for kind, shape in _LINEAR.items()},
    **{f"output.dense.{kind}": shape for kind, shape in _LINEAR.items()},
    **{f"output.LayerNorm.{kind}": shape for kind, shape in _NORM.items()},
}
_CROSS = {
    key: (768, 1408) if key in ("self.key.weight", "self.value.weight") else shape
    for key, shape in _ATTENTION.items()
}


def _feed_forward(suffix: str) -> Shapes:
    return {
        f"intermediate{suffix}.dense.weight": (3072, 768),
        f"intermediate{suffix}.dense.bias": (3072,),
        f"output{suffix}.dense.weight": (768, 3072),
        f"output{suffix}.dense.bias": (768,),
        **{f"output{suffix}.LayerNorm.{kind}": shape for kind, shape in _NORM.items()},
    }


def full_lavis(first_stage: bool) -> Shapes:
    """blip2_pretrained_flant5xxl.pth, or blip2_pretrained.pth, whose Q-Former also reads and writes text.

    The frozen image encoder and T5 are not in the files: LAVIS saves what trains, and buffers.
    """
    bert = "Qformer.bert"
    keys: Shapes = {
        "query_tokens": (1, 32, 768),
        "ln_vision.weight": (1408,),
        "ln_vision.bias": (1408,),
        f"{bert}.embeddings.position_ids": (1, 512),
        f"{bert}.embeddings.LayerNorm.weight": (768,),
        f"{bert}.embeddings.LayerNorm.bias": (768,),
    }
    for layer in range(12):
        parts = {
            **{f"attention.{key}": shape for key, shape in _ATTENTION.items()},
            **_feed_forward("_query"),
        }
        if layer % 2 == 0:
            parts |= {f"crossattention.{key}": shape for key, shape in _CROSS.items()}
        if first_stage:
            parts |= _feed_forward("")
        keys |= {f"{bert}.encoder.layer.{layer}.{key}": shape for key, shape in parts.items()}
    if not first_stage:
        return {**keys, "t5_proj.weight": (4096, 768), "t5_proj.bias": (4096,)}
    predictions = "Qformer.cls.predictions"
    return {
        **keys,
        f"{bert}.embeddings.word_embeddings.weight": (30523, 768),
        f"{bert}.embeddings.position_embeddings.weight": (512, 768),
        f"{predictions}.bias": (30523,),
        f"{predictions}.transform.dense.weight": (768, 768),
        f"{predictions}.transform.dense.bias": (768,),
        f"{predictions}.transform.LayerNorm.weight": (768,),
        f"{predictions}.transform.LayerNorm.bias": (768,),
        f"{predictions}.decoder.weight": (30523, 768),
        f"{predictions}.decoder.bias": (30523,),
        "vision_proj.weight": (256, 768),
        "vision_proj.bias": (256,),
        "text_proj.weight": (256, 768),
        "text_proj.bias": (256,),
        "itm_head.weight": (2, 768),
        "itm_head.bias": (2,),
        "temp": (),
    }


def full_minigpt4() -> Shapes:
    """pretrained_minigpt4_7b.pth: the projection, and the buffers of its Q-Former and LLaMA."""
    state = minigpt4(768, 4096, 32)["model"]
    return {key: tuple(value.shape) for key, value in state.items()}


def layerless(keys: Shapes) -> set[str]:
    """Keys with # for the layer's number."""
    return {re.sub(r"\.\d+\.", ".#.", key) for key in keys}


def as_pickles(folder: Path, shards: int = 1) -> None:
    """Rewrites a folder's model.safetensors as pytorch_model.bin, or as an index with that many shards."""
    state = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    if shards == 1:
        torch.save(state, folder / "pytorch_model.bin")
        return
    places = {key: f"pytorch_model-{1 + i % shards:05}-of-{shards:05}.bin" for i, key in enumerate(state)}
    for file in set(places.values()):
        torch.save({key: state[key] for key, place in places.items() if place == file}, folder / file)
    index = {"metadata": {}, "weight_map": places}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))
