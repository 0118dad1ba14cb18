"""The exported language model as a `StepDecoder`, and its tokenizer, without torch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from semantic_cc.runtime.engine import LoadedGraph
from semantic_cc.runtime.graph_cache import EMBEDDINGS, LANGUAGE, SCORED_TOKENS, TOKENIZER, TOKENS


class StoredTokenizer:
    """The members of a transformers tokenizer that `Prompter` reads, from the files of an export.

    Args:
        folder: the export.
    """

    def __init__(self, folder: Path) -> None:
        from tokenizers import Tokenizer

        self._core = Tokenizer.from_file(str(folder / TOKENIZER))
        tokens = json.loads((folder / TOKENS).read_text(encoding="utf-8"))
        self.bos_token_id: int | None = tokens["bos_token_id"]
        self.eos_token: str | None = tokens["eos_token"]
        self.added_tokens_decoder = self._core.get_added_tokens_decoder()

    def __call__(self, text: str, add_special_tokens: bool = True) -> dict[str, list[int]]:
        """Token ids of a text under the key ``input_ids``."""
        return {"input_ids": self._core.encode(text, add_special_tokens=add_special_tokens).ids}

    def decode(self, ids: Sequence[int], skip_special_tokens: bool = False) -> str:
        """The text of token ids."""
        return self._core.decode(list(ids), skip_special_tokens=skip_special_tokens)


class LanguageDecoder:
    """One generation at a time: `prefill` starts it, `step` continues it.

    Args:
        folder: the export.
    """

    def __init__(self, folder: Path) -> None:
        self._graph = LoadedGraph(folder / LANGUAGE)
        self._table = np.load(folder / EMBEDDINGS, mmap_mode="r")  # a row for each token id, m columns
        self.scored_tokens: np.ndarray = np.load(folder / SCORED_TOKENS)
        self._length = 0

    def embed(self, ids: Sequence[int] | np.ndarray) -> np.ndarray:
        """(n,) token ids -> embeddings (n, m) float32."""
        rows = self._table[np.asarray(ids, np.int64)]
        if rows.dtype == np.uint16:  # the bits of bfloat16
            return (rows.astype(np.uint32) << 16).view(np.float32)
        return rows

    def prefill(self, embeds: np.ndarray) -> np.ndarray:
        """As in `StepDecoder`."""
        self._graph.reset()
        self._length = 0
        length = embeds.shape[1]
        hidden = np.triu(np.full((length, length), np.finfo(np.float32).min, np.float32), 1)
        return self._run(embeds, hidden, np.arange(len(embeds)))

    def step(self, tokens: np.ndarray, sources: np.ndarray) -> np.ndarray:
        """As in `StepDecoder`."""
        return self._run(self.embed(tokens)[:, None], np.zeros((1, self._length + 1), np.float32), sources)

    def _run(self, embeds: np.ndarray, mask: np.ndarray, sources: np.ndarray) -> np.ndarray:
        start, self._length = self._length, self._length + embeds.shape[1]
        found = self._graph.run(
            embeds=np.ascontiguousarray(embeds, np.float32),
            mask=mask[None, None],
            positions=np.arange(start, self._length)[None],
            beam_idx=sources.astype(np.int32),
        )
        return found["log_probs"]
