"""Compares parts of the caption path, and ways to decode, at scale `levir-dev`.

    python runs/caption_ablation.py LEVIR_MCI OUT [--seeds 3]

OUT is the output folder of `semantic-cc reproduce`: runs that tables have finished are used, and missing ones trained.
Every run visits equally many pairs and reads the same frozen image encoder. The models of the part `DECODED` are also
scored with each way to decode. OUT/caption-ablation.json has the scores on the test split, by seed.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from semantic_cc.config import Config
from semantic_cc.data.contradictions import find_contradictions
from semantic_cc.data.open_dataset import open_dataset
from semantic_cc.evaluation.evaluate import evaluate
from semantic_cc.files import write_files
from semantic_cc.reproduce.experiment_runs import FinishedRun, ReproductionSetup, scored, trained
from semantic_cc.reproduce.paper_curves import same_encoder
from semantic_cc.reproduce.paper_tables import OURS, PAPERS_WAY, Row
from semantic_cc.reproduce.scales import SCALES, configured
from semantic_cc.reproduce.table_format import mean_and_spread
from semantic_cc.reproduce.table_types import SeedScores

SCALE = "levir-dev"
GUIDED: dict[str, Any] = {"change_decoder": {"caption_features": True}}


@dataclass(frozen=True)
class Part:
    """A model to train: the row of a table, and whether it learns from consistent pairs only."""

    row: Row
    consistent: bool = False


PARTS: dict[str, Part] = {
    "captions only": Part(Row((), (), "table2-enhancer")),
    "with the change task, no flag head (the paper's way)": Part(Row((), (), overrides=PAPERS_WAY)),
    "with the change task (ours)": Part(OURS),
    "ours without contradictory pairs": Part(OURS, consistent=True),
    "ours, sentences read the mask": Part(Row((), (), overrides={"model": GUIDED})),
    "ours, keyword head, four beams": Part(Row((), (), "keyword-head")),
    "ours, both, four beams": Part(Row((), (), "keyword-head", {"model": GUIDED})),
}
DECODED = "ours, both, four beams"
DECODINGS: dict[str, dict[str, Any]] = {
    "greedy": {"decoding": "greedy"},
    "the paper's consensus: four instructions, greedy": {"decoding": "consensus"},
    "four beams": {"decoding": "beam"},
    "four beams, mask guidance 5": {"decoding": "beam", "ensemble": {"mask": 5.0}},
    "four beams, mask guidance 5, consensus 1": {
        "decoding": "beam",
        "ensemble": {"mask": 5.0, "consensus": 1.0},
    },
}
"""Way to decode -> values of the model's configuration."""
COLUMNS = {
    "cider": "CIDEr",
    "changed_cider": "CIDEr, changed",
    "changed_bleu4": "BLEU-4, changed",
    "flag": "flag",
    "agreement": "agreement",
    "f1": "building F1",
}
"""Score -> column. All in per cent."""


def configured_part(part: Part, data: str, seed: int) -> Config:
    """The configuration of a run on all pairs."""
    return configured(SCALES[SCALE], part.row, (data,), seed, {})


@cache  # reads every mask
def consistent_pairs(data: Path, out: Path) -> Path:
    """Writes the dataset without its contradictory training pairs: its own sentences file, and a link to the images."""
    train = open_dataset(str(data), "train")
    contradictory = {found.name for found in find_contradictions(train)}
    name = "LevirCCcaptions.json"
    content = json.loads((data / name).read_text())
    content["images"] = [
        image
        for image in content["images"]
        if image["split"] != "train" or image["filename"] not in contradictory
    ]
    folder = out / "consistent"
    write_files(folder, {name: json.dumps(content).encode()})
    images = folder / "images"
    if not images.exists():
        images.symlink_to((data / "images").resolve())
    kept = len(open_dataset(str(folder), "train"))
    if kept != len(train) - len(contradictory):
        raise SystemExit(f"{folder}: {kept} training pairs, expected {len(train) - len(contradictory)}")
    return folder


def trained_part(setup: ReproductionSetup, name: str, seed: int) -> FinishedRun:
    """The finished run of a part."""
    part, title = PARTS[name], f"{name}, seed {seed}"
    if not part.consistent:
        return trained(setup, part.row, seed, title)
    full = configured_part(part, setup.data[0], seed)
    row = replace(part.row, overrides=same_encoder(setup, full))
    own = replace(setup, data=(str(consistent_pairs(Path(setup.data[0]), setup.out)),))
    return trained(own, row, seed, title)


def part_scores(setup: ReproductionSetup, name: str, seed: int) -> dict[str, float | None]:
    """The scores of a part, as its table scores it."""
    run = trained_part(setup, name, seed)
    found = scored(setup, run, "captions", f"{name}, seed {seed}")
    assert found.captions is not None
    every, changed = found.captions.scores["all"], found.captions.scores["changed"]
    return {
        "cider": every.scores["CIDEr"],
        "changed_cider": changed.scores["CIDEr"],
        "changed_bleu4": changed.scores["BLEU-4"],
        "flag": every.flag_accuracy,
        "agreement": None,
        "f1": None if found.building is None else found.building.f1,
    }


def decoded_scores(
    setup: ReproductionSetup, run: FinishedRun, name: str, values: dict[str, Any]
) -> dict[str, float | None]:
    """The scores of a run's model with a way to decode."""
    if values == {"decoding": run.config.model.decoding}:
        (path,) = run.folder.glob("scores-*.json")  # the part's own
    else:
        path = newly_decoded(setup, run, name, values)
    report = json.loads(path.read_text())
    every, changed = report["captions"]["all"], report["captions"]["changed"]
    return {
        "cider": every["CIDEr"],
        "changed_cider": changed["CIDEr"],
        "changed_bleu4": changed["BLEU-4"],
        "flag": every["flag_accuracy"],
        "agreement": report["consistency"]["score"],
        "f1": report["change"]["building"]["f1"],
    }


def newly_decoded(setup: ReproductionSetup, run: FinishedRun, name: str, values: dict[str, Any]) -> Path:
    """The evaluation of a run's model with another configuration, below the run's folder."""
    folder = run.folder / "decodings" / name.replace(",", "").replace(" ", "-").replace(":", "")
    path = folder / "scores.json"
    if path.exists():
        return path
    content = json.loads((run.model / "config.json").read_text())
    ensemble = {**content["model"]["ensemble"], **values.get("ensemble", {})}
    content["model"] |= {"decoding": values["decoding"], "ensemble": ensemble}
    write_files(folder, {"config.json": json.dumps(content).encode()})
    weights = folder / "model.safetensors"
    if not weights.exists():
        weights.symlink_to((run.model / weights.name).resolve())
    setup.say(f"{run.folder.name}: {name}")
    report = evaluate(folder, setup.test, meteor=False, runtime="torch").to_json()
    write_files(folder, {path.name: (json.dumps(report) + "\n").encode()})
    return path


def summary(scores: list[dict[str, Any]], column: str) -> str:
    """Mean ± sample standard deviation over the seeds; a dash where a score was not taken."""
    return mean_and_spread(SeedScores(tuple(score[column] for score in scores if score[column] is not None)))


def table(head: str, rows: dict[str, list[dict[str, Any]]]) -> str:
    """The rows in Markdown, with the columns that any row has."""
    columns = [
        column
        for column in COLUMNS
        if any(score[column] is not None for scores in rows.values() for score in scores)
    ]
    heads = [COLUMNS[column] for column in columns]
    lines = [f"| {head} | {' | '.join(heads)} |", f"| --- |{' --- |' * len(heads)}"]
    for name, scores in rows.items():
        lines.append(f"| {name} | {' | '.join(summary(scores, column) for column in columns)} |")
    return "\n".join(lines)


def main() -> None:
    """Runs what is missing, and prints both tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", metavar="LEVIR_MCI")
    parser.add_argument("out", metavar="OUT", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    data = (given.data,)
    setup = ReproductionSetup(scale=SCALE, data=data, test=data, masks=data, out=given.out)
    parts: dict[str, list[dict[str, Any]]] = {name: [] for name in PARTS}
    decodings: dict[str, list[dict[str, Any]]] = {name: [] for name in DECODINGS}
    for seed in range(given.seeds):
        for name, scores in parts.items():
            scores.append(part_scores(setup, name, seed))
        run = trained_part(setup, DECODED, seed)
        for name, scores in decodings.items():
            scores.append(decoded_scores(setup, run, name, DECODINGS[name]))
    kept = {"seeds": given.seeds, "decoded": DECODED, "parts": parts, "decodings": decodings}
    write_files(given.out, {"caption-ablation.json": (json.dumps(kept, indent=1) + "\n").encode()})
    print(table("parts", parts), table("decoding", decodings), sep="\n\n")


if __name__ == "__main__":
    main()
