"""The kept ablation of the caption path: it is complete and in the log, and each run is what its row says."""

import json
import runpy
from pathlib import Path

import layouts
import numpy as np
import pytest

from semantic_cc.data.open_dataset import open_dataset
from semantic_cc.reproduce.scales import MAIN, tasks_of

ROOT = Path(__file__).parents[2]
SCRIPT = runpy.run_path(str(ROOT / "runs" / "caption_ablation.py"))
KEPT = json.loads((ROOT / "runs" / "results" / "caption-ablation.json").read_text())


def test_the_kept_ablation_has_every_row_with_every_seed() -> None:
    assert list(KEPT["parts"]) == list(SCRIPT["PARTS"]) and list(KEPT["decodings"]) == list(
        SCRIPT["DECODINGS"]
    )
    assert KEPT["decoded"] == SCRIPT["DECODED"]
    rows = [*KEPT["parts"].values(), *KEPT["decodings"].values()]
    assert all(len(scores) == KEPT["seeds"] for scores in rows)


def test_the_log_has_the_kept_tables() -> None:
    log = (ROOT / "docs" / "log.md").read_text()
    for head, rows in (("parts", KEPT["parts"]), ("decoding", KEPT["decodings"])):
        assert SCRIPT["table"](head, rows) in log


@pytest.mark.parametrize("name", list(SCRIPT["PARTS"]))
def test_every_part_visits_equally_many_pairs(name: str) -> None:
    config = SCRIPT["configured_part"](SCRIPT["PARTS"][name], "data", 1)
    main = config.phases[MAIN]
    assert main.epochs * sum(stage.items for stage in main.stages.values()) == 960
    assert tasks_of(config) == (name != "captions only", True)
    assert config.model.change_decoder.caption_features == (
        name in ("ours, sentences read the mask", "ours, both, four beams")
    )
    assert bool(config.model.keywords) == (
        name in ("ours, keyword head, four beams", "ours, both, four beams")
    )
    assert config.model.flag_head == ("no flag head" not in name)


def test_contradictory_pairs_are_left_out_of_training_only(tmp_path: Path) -> None:
    rng, entries = np.random.default_rng(0), []
    for split in ("train", "test"):
        for name, sentence in (
            ("contradictory", "no change has occurred"),
            ("consistent", "a house is built"),
        ):
            file = f"{split}_{name}.png"
            layouts.write_pair(tmp_path / "mci" / "images" / split, file, rng, values=(0, 255))
            entries.append(layouts.entry(file, sentence, split=split))
    (tmp_path / "mci" / "LevirCCcaptions.json").write_text(json.dumps({"images": entries}))
    found = SCRIPT["consistent_pairs"](tmp_path / "mci", tmp_path / "out")
    names = {split: [item.name for item in open_dataset(found, split).items] for split in ("train", "test")}
    assert names["train"] == ["train_consistent.png"]
    assert names["test"] == ["test_contradictory.png", "test_consistent.png"]
