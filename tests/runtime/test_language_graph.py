"""The exported language model: where it rounds, and what that changes."""

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
import torch
from engines import need_engine

from semantic_cc.checkpoint.build import merge_lora
from semantic_cc.model.semantic_cc import SemanticCCModel
from semantic_cc.runtime.engine import compile_graph
from semantic_cc.runtime.language_graph import export_language_model

Build = Callable[..., SemanticCCModel]


@pytest.mark.parametrize("bfloat16", [False, True])
@pytest.mark.parametrize("words", [(), ("a", "house")], ids=["all", "words"])
def test_the_layers_multiply_in_bfloat16_and_all_else_is_float32(
    build: Build, bfloat16: bool, words: tuple[str, ...]
) -> None:
    need_engine()
    model = build({"llm": {"vocabulary": words}})
    merge_lora(model)
    llm = model.caption_decoder.llm.to(torch.bfloat16)
    scored = model.caption_decoder.prompter.vocabulary_ids or list(range(llm.config.vocab_size))
    graph = export_language_model(llm, scored, bfloat16)
    types = Counter(
        str(node.output(0).get_element_type().get_type_name())
        for node in graph.get_ops()
        if node.get_type_name() == "MatMul"
        and node.input_value(1).get_node().get_type_name() in ("Constant", "Convert")
    )
    layers = 7 * llm.config.num_hidden_layers  # q, k, v, o, gate, up, down
    assert types["bf16"] == (layers if bfloat16 else 0)
    assert types["f32"] >= (1 if bfloat16 else layers + 1)  # the head
    request = compile_graph(graph).create_infer_request()
    embeds = torch.randn(2, 5, llm.config.hidden_size, generator=torch.Generator().manual_seed(1))
    request.infer(
        {
            "embeds": embeds.numpy(),
            "mask": np.triu(np.full((5, 5), np.finfo(np.float32).min, np.float32), 1)[None, None],
            "positions": np.arange(5)[None],
            "beam_idx": np.arange(2, dtype=np.int32),
        }
    )
    found = request.get_tensor("log_probs").data
    with torch.no_grad():
        exact = llm.float()(inputs_embeds=embeds).logits[:, -1, scored].log_softmax(-1).numpy()
    assert np.abs(found - exact).max() < (0.05 if bfloat16 else 2e-3)
