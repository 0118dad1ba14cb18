"""Writes the graphs of a model, and what a process needs to run them without torch."""

from __future__ import annotations

import contextlib
import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from semantic_cc.model.base import ChangeModel
from semantic_cc.model.semantic_cc import SemanticCCModel
from semantic_cc.progress import Advance
from semantic_cc.runtime.engine import compile_graph, has_bfloat16
from semantic_cc.runtime.graph_cache import (
    EMBEDDINGS,
    LANGUAGE,
    SCORED_TOKENS,
    TOKENIZER,
    TOKENS,
    vision_name,
)
from semantic_cc.runtime.language_graph import (
    UnsupportedModelError,
    check_language_model,
    export_language_model,
)
from semantic_cc.runtime.vision_graph import export_vision_part

STEP = "preparing the fast runtime"


def export_model(model: ChangeModel, folder: Path, progress: Advance | None = None) -> None:
    """Writes all files of a model to `folder`, with the vision part for the config's image size.

    Args:
        model: with merged adapters, on the CPU; it is not changed.
        folder: an empty folder.
        progress: called with (step, done, of all).

    Raises:
        UnsupportedModelError: the language model or its tokenizer is of a kind that cannot be exported.
        OSError: a file cannot be written.
    """
    report = progress or (lambda step, done, total: None)
    assert isinstance(model, SemanticCCModel)  # `load` sends no other here
    llm = model.caption_decoder.llm
    check_language_model(llm)
    prompter = model.caption_decoder.prompter
    if prompter.end_id is None:
        raise UnsupportedModelError("its answers end with a text, not with a token")
    report(STEP, 0, 4)
    _write_tokenizer(prompter.tokenizer, folder)
    report(STEP, 1, 4)
    _write_embeddings(llm.get_input_embeddings().weight.detach(), folder / EMBEDDINGS)
    report(STEP, 2, 4)
    side = model.config.encoder.image_size
    write_vision(model, (side, side), folder / vision_name((side, side)))
    report(STEP, 3, 4)
    scored = prompter.vocabulary_ids or list(range(llm.get_output_embeddings().out_features))
    np.save(folder / SCORED_TOKENS, np.array(scored))
    with _quiet():
        graph = export_language_model(llm, scored, has_bfloat16())
    _write_compiled(graph, folder / LANGUAGE)
    report(STEP, 4, 4)


def write_vision(model: SemanticCCModel, size: tuple[int, int], path: Path) -> None:
    """Writes the vision part of a model for images of H x W pixels.

    Raises:
        OSError: the file cannot be written.
    """
    with _quiet():
        graph = export_vision_part(model, size)
    _write_compiled(graph, path)


def _write_compiled(graph: Any, path: Path) -> None:
    """Writes the compiled form of a graph: it loads in a tenth of the time that compiling takes."""
    with path.open("wb") as file:
        file.write(compile_graph(graph).export_model().getbuffer())


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Hides warnings about constants in a trace, which are meant.

    OpenVINO's own stub takes the place of its telemetry, so that nothing is reported over the network.
    """
    import openvino_telemetry
    from openvino.tools.ovc.telemetry_stub import Telemetry

    telemetry, openvino_telemetry.Telemetry = openvino_telemetry.Telemetry, Telemetry
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        openvino_telemetry.Telemetry = telemetry


def _write_tokenizer(tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    if not tokenizer.is_fast or getattr(tokenizer, "clean_up_tokenization_spaces", False):
        raise UnsupportedModelError("its tokenizer has no form in the library tokenizers")
    (folder / TOKENIZER).write_text(tokenizer.backend_tokenizer.to_str(), encoding="utf-8")
    tokens = {"bos_token_id": tokenizer.bos_token_id, "eos_token": tokenizer.eos_token}
    (folder / TOKENS).write_text(json.dumps(tokens), encoding="utf-8")


def _write_embeddings(table: torch.Tensor, path: Path) -> None:
    """Writes the (V, m) table: the bits of bfloat16 as uint16, other types as float32."""
    exact = table.view(torch.uint16) if table.dtype == torch.bfloat16 else table.float()
    np.save(path, exact.cpu().numpy())
