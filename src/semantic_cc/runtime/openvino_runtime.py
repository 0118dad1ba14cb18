"""The fast runtime on a CPU: both parts of a model as compiled OpenVINO graphs.

Legend: n pairs, H, W pixels, q visual tokens, m LLM width, v keywords.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from semantic_cc.config import ModelConfig
from semantic_cc.errors import OutputError
from semantic_cc.files import new_file
from semantic_cc.metrics.consistency import SeenObjects
from semantic_cc.model.answers import Candidate, answer_pairs, beam_width, instructions_of
from semantic_cc.model.mask_guidance import BUILDING_NOUNS, building_log_odds
from semantic_cc.model.prompter import TEMPLATES, Prompter
from semantic_cc.runtime.decoding import KeywordBonus, generate
from semantic_cc.runtime.engine import LoadedGraph
from semantic_cc.runtime.graph_cache import vision_name
from semantic_cc.runtime.interface import PairMasks, PairPredictions, Runtime
from semantic_cc.runtime.language_decoder import LanguageDecoder, StoredTokenizer

if TYPE_CHECKING:
    from semantic_cc.model.base import ChangeModel

EXPORT_AFTER = 16
"""Pairs of one size that the torch model sees before the vision part is exported for that size."""

MOST_PIXELS = 1024 * 1024
"""Largest image that the vision part is exported for."""

MOST_PAIRS = 8
"""Most plain pairs of an archive that are described at once, up to `MOST_PIXELS` of one date."""

MOST_PROMPTS = 32
"""Most prompts that are decoded at once."""

Arrays = Mapping[str, np.ndarray]
See = Callable[[np.ndarray, np.ndarray], Arrays]


class OpenVinoRuntime(Runtime):
    """Runs the graphs of an export. Calls from several threads run one after the other.

    Args:
        folder: the export.
        config: the model's config.
        load_model: loads the torch model. It runs the vision part for image sizes that have no graph.
    """

    name = "openvino"
    device = "cpu"
    place_batch = 16

    def __init__(self, folder: Path, config: ModelConfig, load_model: Callable[[], ChangeModel]) -> None:
        self.config = config
        self._folder = folder
        self._load_model = load_model
        self._model: Any = None
        self._prompter = Prompter(
            StoredTokenizer(folder), TEMPLATES[config.llm.template], config.llm.vocabulary
        )
        self._keyword_ids = self._prompter.keyword_ids(config.keywords)
        self._noun_ids = self._prompter.keyword_ids(BUILDING_NOUNS)
        self._decoder: LanguageDecoder | None = None
        self._graphs: dict[tuple[int, int], See] = {}
        self._seen: Counter[tuple[int, int]] = Counter()
        self._lock = threading.Lock()

    def pair_batch(self, height: int, width: int) -> int:
        """As in `Runtime`: at the model's own size, where the results of a batch are those of single pairs."""
        is_own = height == width == self.config.encoder.image_size
        return max(1, min(MOST_PAIRS, MOST_PIXELS // (height * width))) if is_own else 1

    def predict(
        self, before: np.ndarray, after: np.ndarray, instructions: Sequence[str] | None = None
    ) -> PairPredictions:
        """As in `Runtime`."""
        with self._lock:
            start = time.perf_counter()
            found = self._see(before, after)
            seen = time.perf_counter()
            flags, masks = found.get("change_probability"), found.get("class_probabilities")
            asked = instructions_of(self.config, instructions)
            answers = answer_pairs(
                self.config, None if flags is None else flags.tolist(), len(before), asked,
                lambda pairs, texts, seen: self._write(found, pairs, texts, seen),
                None if masks is None else masks.__getitem__,
            )  # fmt: skip
            written = time.perf_counter()
        return PairPredictions(
            class_probabilities=masks,
            change_probability=flags,
            heatmap=found["heatmap"],
            changed=answers.changed,
            sentences=answers.sentences,
            sentence=answers.sentence,
            timings={"vision": seen - start, "sentence": written - seen},
        )

    def predict_masks(self, before: np.ndarray, after: np.ndarray) -> PairMasks:
        """As in `Runtime`."""
        with self._lock:
            found = self._see(before, after)
        return PairMasks(found.get("class_probabilities"), found.get("change_probability"), found["heatmap"])

    def _write(
        self, found: Arrays, pairs: Sequence[int], texts: Sequence[str], seen: Sequence[SeenObjects] | None
    ) -> list[list[Candidate]]:
        """Candidates of some pairs of a batch; prompts of one length are decoded together."""
        decoder = self._language()
        cut = len(self._prompter.start_ids)
        prompts = []
        for i, text in zip(pairs, texts, strict=True):
            words = decoder.embed(self._prompter.start_ids + self._prompter.rest_ids(text))
            prompts.append(np.concatenate([words[:cut], found["visual"][i], words[cut:]]))  # (t, m)
        by_length = defaultdict(list)
        for place, prompt in enumerate(prompts):
            by_length[len(prompt)].append(place)
        candidates: list[list[Candidate]] = [[] for _ in prompts]
        groups = [
            places[start : start + MOST_PROMPTS]
            for places in by_length.values()
            for start in range(0, len(places), MOST_PROMPTS)
        ]
        end_id = self._prompter.end_id
        assert end_id is not None  # the export refuses others
        for places in groups:
            written = generate(
                decoder,
                np.stack([prompts[place] for place in places]),
                beams=beam_width(self.config),
                max_new_tokens=self.config.llm.max_new_tokens,
                end_id=end_id,
                keywords=self._guidance(
                    found,
                    [pairs[place] for place in places],
                    None if seen is None else [seen[place] for place in places],
                ),
            )
            for place, beams in zip(places, written, strict=True):
                candidates[place] = [Candidate(self._prompter.sentence(ids), score) for ids, score in beams]
        return candidates

    def _guidance(
        self, found: Arrays, pairs: Sequence[int], seen: Sequence[SeenObjects] | None
    ) -> KeywordBonus | None:
        """The keyword head's log-odds and those of mask guidance for some pairs; None with neither."""
        ids: list[list[int]] = []
        log_odds: list[np.ndarray] = []
        if "log_odds" in found:
            ids += self._keyword_ids
            log_odds.append(self.config.ensemble.keywords * found["log_odds"][list(pairs)])
        if seen is not None:
            ids += self._noun_ids
            log_odds.append(building_log_odds(seen, self.config.ensemble.mask))
        scored = self._language().scored_tokens
        return KeywordBonus(ids, np.concatenate(log_odds, axis=1), scored) if ids else None

    def _language(self) -> LanguageDecoder:
        if self._decoder is None:
            self._decoder = LanguageDecoder(self._folder)
        return self._decoder

    def _see(self, before: np.ndarray, after: np.ndarray) -> Arrays:
        size = before.shape[1], before.shape[2]
        if size not in self._graphs:
            path = self._folder / vision_name(size)
            if path.is_file() or self._exported(size, len(before), path):
                self._graphs[size] = _compiled(path)
        see = self._graphs.get(size, self._see_with_torch)
        return see(np.ascontiguousarray(before), np.ascontiguousarray(after))

    def _exported(self, size: tuple[int, int], pairs: int, path: Path) -> bool:
        """Exports the vision part for a size that is seen often."""
        self._seen[size] += pairs
        if self._seen[size] < EXPORT_AFTER or size[0] * size[1] > MOST_PIXELS:
            return False
        from semantic_cc.runtime.export import write_vision

        try:
            with new_file(path) as work:
                write_vision(self._torch_model(), size, work)
        except OutputError:  # the torch model goes on; the next try is as many pairs away
            self._seen[size] = 0
            return False
        return True

    def _see_with_torch(self, before: np.ndarray, after: np.ndarray) -> Arrays:
        import torch

        from semantic_cc.runtime.vision_graph import VisionPart

        part = VisionPart(self._torch_model())
        found = part(torch.from_numpy(before), torch.from_numpy(after))
        return {name: value.numpy() for name, value in zip(part.names, found, strict=True)}

    def _torch_model(self) -> Any:
        if self._model is None:
            self._model = self._load_model().eval()
        return self._model


def _compiled(path: Path) -> See:
    graph = LoadedGraph(path)

    def see(before: np.ndarray, after: np.ndarray) -> Arrays:
        pairs = [
            {
                name: value.copy()
                for name, value in graph.run(before=before[n : n + 1], after=after[n : n + 1]).items()
            }
            for n in range(len(before))
        ]
        return {name: np.concatenate([pair[name] for pair in pairs]) for name in graph.outputs}

    return see
