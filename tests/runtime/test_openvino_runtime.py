"""The fast runtime gives what the reference gives."""

import json
import shutil
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from semantic_cc import SemanticCC
from semantic_cc.config import EnsembleConfig
from semantic_cc.decisions import class_mask
from semantic_cc.errors import SemanticCCError
from semantic_cc.metrics.consistency import SeenObjects
from semantic_cc.model.prompter import Prompter
from semantic_cc.runtime import openvino_runtime
from semantic_cc.runtime.decoding import generate
from semantic_cc.runtime.engine import LoadedGraph
from semantic_cc.runtime.graph_cache import LANGUAGE
from semantic_cc.runtime.language_decoder import LanguageDecoder, StoredTokenizer
from semantic_cc.runtime.openvino_runtime import OpenVinoRuntime

Pairs = tuple[np.ndarray, np.ndarray]
CLOSE = 1e-3
"""Of probabilities, with the vision part in float32."""

MOST = 0.7
"""Share of equal sentences: on random weights, rounding to float16 decides more often than on trained ones."""


def graphs_of(model: SemanticCC) -> Path:
    return model.runtime._folder


def test_masks_and_flags_are_close(fast: SemanticCC, reference: SemanticCC, pairs: Pairs) -> None:
    ours, theirs = fast.runtime.predict_masks(*pairs), reference.runtime.predict_masks(*pairs)
    np.testing.assert_allclose(ours.class_probabilities, theirs.class_probabilities, atol=CLOSE)
    np.testing.assert_allclose(ours.change_probability, theirs.change_probability, atol=CLOSE)
    np.testing.assert_allclose(ours.heatmap, theirs.heatmap, atol=CLOSE)
    assert ours.class_probabilities.std() > 0.05
    assert 0 < (theirs.change_probability >= 0.5).sum() < 12


def test_descriptions_agree(fast: SemanticCC, reference: SemanticCC, pairs: Pairs) -> None:
    ours, theirs = fast.describe_batch(*pairs), reference.describe_batch(*pairs)
    assert [one.changed for one in ours] == [one.changed for one in theirs]
    same = [one.sentence == other.sentence for one, other in zip(ours, theirs, strict=True)]
    assert np.mean(same) >= MOST
    assert len({one.sentence for one in theirs}) > 2
    assert {"vision", "sentence", "total"} <= set(ours[0].timings)


def test_a_batch_is_its_pairs(fast: SemanticCC, pairs: Pairs) -> None:
    batch = fast.describe_batch(*pairs)
    for n in range(4):
        one = fast.describe(pairs[0][n], pairs[1][n])
        assert (one.sentence, one.changed) == (batch[n].sentence, batch[n].changed)
        np.testing.assert_array_equal(one.probability, batch[n].probability)


def test_batches_of_the_models_size_are_equal(
    fast: SemanticCC, reference: SemanticCC, pairs: Pairs, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores: dict[int, list[float]] = {1: [], len(pairs[0]): []}
    for size, found in scores.items():

        def record(*args: object, found: list[float] = found, **options: object) -> list:
            written = generate(*args, **options)
            found += [score for beams in written for _, score in beams]
            return written

        monkeypatch.setattr("semantic_cc.runtime.openvino_runtime.generate", record)
        for start in range(0, len(pairs[0]), size):
            fast.describe_batch(*(date[start : start + size] for date in pairs))
    one_by_one, together = scores.values()
    assert one_by_one == together and any(together)
    height, width = pairs[0].shape[1:3]
    assert fast.pair_batch(height, width) == 8 and fast.pair_batch(height, width + 16) == 1
    assert reference.pair_batch(height, width) == 1


def test_all_instructions_are_answered(fast: SemanticCC, reference: SemanticCC, pairs: Pairs) -> None:
    asked = ["What?", "Please say in a few words what has changed.", "What is new?"]
    ours, theirs = (model.runtime.predict(*pairs, asked) for model in (fast, reference))
    assert [sorted(answers) for answers in ours.sentences] == [
        sorted(answers) for answers in theirs.sentences
    ]
    answers = [
        (one[text], other[text])
        for one, other in zip(ours.sentences, theirs.sentences, strict=True)
        for text in one
    ]
    assert len(answers) >= 3 and np.mean([one == other for one, other in answers]) >= MOST


def test_the_language_model_runs_for_changed_pairs_only(
    fast: SemanticCC, pairs: Pairs, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded = []
    monkeypatch.setattr(
        openvino_runtime,
        "generate",
        lambda decoder, embeds, **_: decoded.append(len(embeds)) or [[([], 0.0)]] * len(embeds),
    )
    found = fast.describe_batch(*pairs)
    assert decoded == [sum(one.changed for one in found)]


def test_another_size_runs_in_torch_until_it_is_seen_often(
    shaken_folder: Path,
    fast: SemanticCC,
    reference: SemanticCC,
    in_cache: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(openvino_runtime, "EXPORT_AFTER", 4)
    runtime = OpenVinoRuntime(graphs_of(fast), fast.info.config, lambda: reference.model)
    rng = np.random.default_rng(1)
    wide = tuple(
        np.kron(rng.integers(0, 256, (3, 4, 6, 3)), np.ones((1, 10, 8, 1))).astype(np.uint8) for _ in "ab"
    )
    path = graphs_of(fast) / "vision-40x48.blob"
    expected = reference.runtime.predict_masks(*wide)
    for exported in (False, True):
        found = runtime.predict_masks(*wide)
        assert path.is_file() is exported
        np.testing.assert_allclose(found.class_probabilities, expected.class_probabilities, atol=CLOSE)
        np.testing.assert_allclose(found.heatmap, expected.heatmap, atol=CLOSE)


def test_threads_take_turns(fast: SemanticCC, pairs: Pairs) -> None:
    expected = [one.sentence for one in fast.describe_batch(*pairs)]
    found: dict[int, list[str]] = {}

    def work(n: int) -> None:
        found[n] = [one.sentence for one in fast.describe_batch(*pairs)]

    threads = [threading.Thread(target=work, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(found.values()) == [expected] * 3


def test_the_cache_follows_its_rows(fast: SemanticCC, reference: SemanticCC) -> None:
    """Rows multiply, change places and leave; each goes on with its own past."""
    decoder, llm = LanguageDecoder(graphs_of(fast)), reference.model.llm
    rng = np.random.default_rng(2)
    prompts = decoder.embed(rng.integers(0, 256, (3 * 9))).reshape(3, 9, -1)
    said = np.empty((3, 0), np.int64)
    rows = np.arange(3)  # the prompt of each row

    def expected() -> np.ndarray:
        words = decoder.embed(said.reshape(-1)).reshape(*said.shape, prompts.shape[2])
        with torch.no_grad():
            embeds = torch.from_numpy(np.concatenate([prompts[rows], words], axis=1))
            return llm(inputs_embeds=embeds).logits[:, -1].log_softmax(-1).numpy()

    found = [decoder.prefill(prompts).copy()]
    truth = [expected()]
    for sources in ([0, 0, 0, 1, 1, 1, 2, 2, 2], [1, 0, 0, 5, 3, 4, 6, 6, 6], [6, 8, 7], [2, 0, 1], [1]):
        tokens = rng.integers(0, 256, len(sources))
        rows, said = rows[sources], np.concatenate([said[sources], tokens[:, None]], axis=1)
        found.append(decoder.step(tokens, np.array(sources)).copy())
        truth.append(expected())
    for ours, theirs in zip(found, truth, strict=True):
        assert theirs.std() > 0.05
        np.testing.assert_allclose(ours, theirs, atol=0.2 * theirs.std())


def test_the_stored_tokenizer_is_the_tokenizer(fast: SemanticCC, reference: SemanticCC) -> None:
    theirs = reference.model.caption_decoder.prompter
    ours = Prompter(StoredTokenizer(graphs_of(fast)), theirs.template)
    text = "Two houses, ünd a röad\n are <|im_end|> built"
    assert ours.ids(text) == theirs.ids(text)
    assert (ours.start_ids, ours.end_id) == (theirs.start_ids, theirs.end_id)
    assert ours.rest_ids(text) == theirs.rest_ids(text)
    assert ours.sentence(ours.answer_ids("one  house")) == theirs.sentence(theirs.answer_ids("one  house"))


def test_a_damaged_graph_is_named(fast: SemanticCC, tmp_path: Path, pairs: Pairs) -> None:
    for file in graphs_of(fast).iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes()[: 1000 if file.name == LANGUAGE else None])
    runtime = OpenVinoRuntime(tmp_path, fast.info.config, lambda: None)
    with pytest.raises(SemanticCCError, match=r"language.blob is damaged .* delete .*, and it is made again"):
        runtime.predict(*pairs)


def test_a_vocabulary_restricts_both_runtimes_alike(
    shaken_folder: Path, tmp_path: Path, pairs: Pairs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEMANTIC_CC_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("semantic_cc.runtime.engine.has_bfloat16", lambda: False)
    folder = shutil.copytree(shaken_folder, tmp_path / "model")
    content = json.loads((folder / "config.json").read_text())
    content["model"]["llm"]["vocabulary"] = ["six", "vast", "bright", "houses"]
    (folder / "config.json").write_text(json.dumps(content))
    ours, theirs = (SemanticCC.from_pretrained(folder, runtime=name) for name in ("openvino", "torch"))
    prompter = ours.runtime._prompter
    said = [[one.sentence for one in model.describe_batch(*pairs) if one.changed] for model in (ours, theirs)]
    assert np.mean([one == other for one, other in zip(*said, strict=True)]) >= MOST
    for sentence in said[0] + said[1]:
        assert set(prompter.ids(sentence)) <= set(prompter.vocabulary_ids)
    assert any(said[0])


def test_mask_guidance_changes_the_same_scores(
    fast: SemanticCC, reference: SemanticCC, pairs: Pairs, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoder = reference.runtime.model.caption_decoder
    config = replace(fast.runtime.config, ensemble=EnsembleConfig(mask=3.0, keywords=0.5))
    monkeypatch.setattr(fast.runtime, "config", config)
    monkeypatch.setattr(decoder, "mask_weight", 3.0)
    monkeypatch.setattr(decoder, "keyword_weight", 0.5)
    found, size = fast.runtime._see(*pairs), decoder.llm.get_input_embeddings().num_embeddings
    (house,) = decoder.prompter.keyword_ids(["house"])
    said = np.array([house[:-1]] * len(pairs[0]))
    ours = np.zeros((len(said), size), np.float32)
    seen = [SeenObjects(class_mask(mask), roads=False) for mask in found["class_probabilities"]]
    fast.runtime._guidance(found, range(len(said)), seen).add(ours, said, np.arange(len(said)))
    visual, masks = (torch.from_numpy(found[name]) for name in ("visual", "class_probabilities"))
    theirs = decoder._guidance(visual, masks, seen)(torch.from_numpy(said), torch.zeros(len(said), size))
    np.testing.assert_allclose(ours, theirs, atol=CLOSE)
    assert -3 in ours[:, house[-1]]


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="reads Linux's list of mapped files")
def test_the_pages_of_a_graphs_file_are_released_after_its_first_run(
    fast: SemanticCC, pairs: Pairs, tmp_path: Path
) -> None:
    path = Path(shutil.copy(graphs_of(fast) / "vision-64x64.blob", tmp_path))
    graph = LoadedGraph(path)
    graph._mapped.sum()  # reads every page
    loaded = resident_kilobytes(path)
    dates = {"before": pairs[0][:1], "after": pairs[1][:1]}
    first = {name: value.copy() for name, value in graph.run(**dates).items()}
    assert resident_kilobytes(path) < loaded
    for name, value in graph.run(**dates).items():
        np.testing.assert_array_equal(value, first[name])


def resident_kilobytes(path: Path) -> int:
    """What a mapped file takes of this process's memory."""
    lines = iter(Path("/proc/self/smaps").read_text().splitlines())
    mapped = any(line.endswith(str(path)) for line in lines)
    assert mapped
    return next(int(line.split()[1]) for line in lines if line.startswith("Rss:"))
