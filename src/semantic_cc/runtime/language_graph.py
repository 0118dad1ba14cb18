"""Exports a LLaMA decoder to OpenVINO: input embeddings to log-probabilities, with the key-value cache as state.

Legend: r rows, t new tokens, s = cached + new tokens, m width, n scored tokens, g key-value heads, d head width.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

MOST_PARAMETERS = 2_000_000_000
"""Largest language model that is exported; the export holds it in float32."""


class UnsupportedModelError(Exception):
    """A model that cannot be exported; the message says why."""


class _Past:
    """The part of transformers' cache interface that LLaMA's layers use, on plain tensors (r, g, s, d)."""

    def __init__(self, tensors: tuple[Tensor, ...]) -> None:
        self.tensors = list(tensors)

    def update(self, key: Tensor, value: Tensor, layer: int, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        for place, new in ((2 * layer, key), (2 * layer + 1, value)):
            self.tensors[place] = torch.cat([self.tensors[place], new], dim=2)
        return self.tensors[2 * layer], self.tensors[2 * layer + 1]


class _Step(nn.Module):
    """One step of a LLaMA: embeddings, mask, positions and cache -> log-probabilities and the new cache."""

    def __init__(self, llm: PreTrainedModel, scored: Sequence[int]) -> None:
        super().__init__()
        self.body: Any = llm.get_decoder()
        self.head: Any = llm.get_output_embeddings()
        if len(scored) < self.head.out_features:
            full, self.head = self.head, nn.Linear(self.head.in_features, len(scored), bias=False)
            self.head.weight = nn.Parameter(full.weight[scored])

    def forward(self, embeds: Tensor, mask: Tensor, positions: Tensor, *past: Tensor) -> tuple[Tensor, ...]:
        """embeds (r, t, m), mask (1, 1, t, s), positions (1, t), past (r, g, s - t, d) -> (r, n), (r, g, s, d)."""
        cache, hidden = _Past(past), embeds
        rotary = self.body.rotary_emb(hidden, positions)
        for layer in self.body.layers:
            hidden = layer(
                hidden,
                attention_mask=mask,
                position_ids=positions,
                past_key_values=cache,
                use_cache=True,
                position_embeddings=rotary,
            )
        logits = self.head(self.body.norm(hidden[:, -1]))
        return (torch.log_softmax(logits, dim=-1), *cache.tensors)


def check_language_model(llm: PreTrainedModel) -> None:
    """Checks that `export_language_model` supports a language model.

    Raises:
        UnsupportedModelError: it is no LLaMA, has scaled rotary positions, or is too large.
    """
    config = llm.config
    rotary = getattr(config, "rope_parameters", None) or {}
    if config.model_type != "llama" or rotary.get("rope_type", "default") != "default":
        raise UnsupportedModelError(
            f"its language model is a {config.model_type} that the export does not know"
        )
    if llm.num_parameters() > MOST_PARAMETERS:
        raise UnsupportedModelError(
            f"its language model has {llm.num_parameters() / 1e9:.1f} billion parameters"
        )


@torch.no_grad()
def export_language_model(llm: PreTrainedModel, scored: Sequence[int], bfloat16: bool) -> Any:
    """An OpenVINO model with weights of 16 bits and a stateful cache.

    Weights that are bfloat16 keep their values. With `bfloat16`, the layers multiply in that type, with sums in
    float32; all else, and without it everything, is computed in float32.

    Inputs: embeds (r, t, m) float32; mask (1, 1, t, s) float32, added to attention scores; positions (1, t) int64;
    beam_idx (r,) int32, the cached row that each row continues. Output: log-probabilities (r, n) of the
    next token, over the scored tokens.

    Args:
        llm: a causal LM of LLaMA's architecture with merged adapters; it is not changed.
        scored: ids of the n tokens that a sentence may have.
        bfloat16: whether the processor multiplies in bfloat16; ignored for weights of another type.

    Raises:
        UnsupportedModelError: see `check_language_model`.
    """
    import openvino as ov
    from openvino._offline_transformations import compress_model_transformation

    check_language_model(llm)
    plain = copy.deepcopy(llm).float().eval()
    plain.set_attn_implementation("sdpa")
    config = plain.config
    layers, heads = config.num_hidden_layers, config.num_key_value_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    t, cached = 3, 2
    example = (
        torch.randn(2, t, config.hidden_size),
        torch.zeros(1, 1, t, cached + t),
        torch.arange(cached, cached + t)[None],
        *(torch.randn(2, heads, cached, width) for _ in range(2 * layers)),
    )
    step = torch.jit.trace(_Step(plain, scored), example, check_trace=False)
    past = [f"past.{i}" for i in range(2 * layers)]
    shapes = {
        "embeds": [-1, -1, config.hidden_size],
        "mask": [1, 1, -1, -1],
        "positions": [1, -1],
        **{name: [-1, heads, -1, width] for name in past},
    }
    model = ov.convert_model(
        step, example_input=example, input=[ov.PartialShape(shape) for shape in shapes.values()]
    )
    for port, name in zip(model.inputs, shapes, strict=True):
        port.get_tensor().set_names({name})
    present = [f"present.{i}" for i in range(2 * layers)]
    for port, name in zip(model.outputs, ["log_probs", *present], strict=True):
        port.get_tensor().set_names({name})
    _hold_cache(model, dict(zip(past, present, strict=True)), heads, width)
    if bfloat16 and llm.dtype == torch.bfloat16:
        _multiply_in_bfloat16(model)
    compress_model_transformation(model)  # the weights left in float32 become float16
    return model


def _hold_cache(model: Any, caches: dict[str, str], heads: int, width: int) -> None:
    """Turns cache inputs and outputs into state: empty at first, its rows reordered by the new input beam_idx."""
    import openvino as ov
    from openvino import opset13 as ops
    from openvino._offline_transformations import apply_make_stateful_transformation

    beam = ops.parameter([-1], ov.Type.i32, name="beam_idx")
    beam.output(0).get_tensor().set_names({"beam_idx"})
    model.add_parameters([beam])
    for name in caches:
        port = model.input(name)
        consumers = port.get_target_inputs()
        reordered = ops.gather(port, beam, ops.constant(0))
        for consumer in consumers:
            consumer.replace_source_output(reordered.output(0))
    model.validate_nodes_and_infer_types()
    apply_make_stateful_transformation(model, caches)
    rows = ops.gather(
        ops.shape_of(model.input("embeds"), output_type="i64"), ops.constant([0]), ops.constant(0)
    )
    for node in model.get_ops():
        if node.get_type_name() == "ReadValue":
            shape = ops.concat([rows, *(ops.constant(np.array([n])) for n in (heads, 0, width))], 0)
            node.set_arguments([ops.broadcast(ops.constant(np.float32(0)), shape)])
    model.validate_nodes_and_infer_types()


def _multiply_in_bfloat16(model: Any) -> None:
    """Rounds the inputs of the layers' matrix products to bfloat16; their weights are bfloat16 already.

    All else stays in float32: norms, attention, the sums of residuals, and the LM head, whose rounded logits would
    decide between words.
    """
    import openvino as ov
    from openvino import opset13 as ops

    products = [
        product
        for product in model.get_ordered_ops()
        if product.get_type_name() == "MatMul"
        and product.input_value(1).get_node().get_type_name() == "Constant"
    ]
    rounded_inputs: dict[Any, Any] = {}  # several products read one input: it is rounded once
    for product in products[:-1]:  # the last is the LM head
        weight = product.input_value(1).get_node()
        bits = (weight.data.view(np.uint32) >> 16).astype(np.uint16)
        rounded = ov.Tensor(ov.Type.bf16, list(bits.shape))
        rounded.data[:] = bits.view(rounded.data.dtype)  # NumPy has no bfloat16: OpenVINO shows float16
        turned = product.get_attributes()
        given = product.input_value(0)
        if given not in rounded_inputs:
            rounded_inputs[given] = ops.convert(given, "bf16")
        small = ops.matmul(
            rounded_inputs[given],
            ov.op.Constant(rounded),
            turned["transpose_a"],
            turned["transpose_b"],
        )
        result = ops.convert(small, "f32").output(0)
        for consumer in product.output(0).get_target_inputs():
            consumer.replace_source_output(result)
    model.validate_nodes_and_infer_types()
