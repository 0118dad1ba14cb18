"""Trains change detection from each mix of sources, with equal visits, and scores buildings on scenes held out.

    python runs/source_ablation.py DATA OUT [--seeds 3] [--visits 1472] [--rows "real pairs" ...]

DATA holds scenes/ and half/ (LEVIR-CD; full and half size), guangzhou/, single/ (real single-date images, made by
`semantic-cc synth --recipe runs/real.yaml`) and world/ (drawn pairs). Each run is phase `change_detection` of the
preset `small`, from ImageNet's features. An added source gets a quarter of the visits. Finished runs are not repeated,
and an interrupted one goes on; OUT/source-ablation.json has the scores on the val split of scenes/ and, where it was
not trained on, on guangzhou/.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Any

from semantic_cc.config import Config, load_config
from semantic_cc.evaluation.evaluate import evaluate
from semantic_cc.files import write_files
from semantic_cc.reproduce.table_format import mean_and_spread
from semantic_cc.reproduce.table_types import SeedScores
from semantic_cc.training.pipeline import train

MIXES: dict[str, dict[str, float]] = {
    "real pairs": {"scenes": 1},
    "and half size": {"scenes": 3, "half": 1},
    "and Guangzhou": {"scenes": 3, "guangzhou": 1},
    "and single-date": {"scenes": 3, "single": 1},
    "and drawn": {"scenes": 3, "world": 1},
    "all": {"scenes": 4, "half": 1, "guangzhou": 1, "single": 1, "world": 1},
}
"""Row -> source -> weight."""

BATCH = 8


def configured(sources: dict[str, float], data: Path, out: Path, *, seed: int, visits: int) -> Config:
    """The configuration of one run; `data` holds the sources."""
    folders = [str(data / name) for name in sources]
    items = 736  # crops of the training scenes: the most that an epoch of the first row can visit
    phase = {
        "data": folders if len(folders) > 1 else folders[0],
        "source_weights": list(sources.values()) if len(folders) > 1 else [],
        "epochs": max(1, round(visits / items)),
        "ema": None,
        "val_metric": None,
        "stages": {"change": {"items": min(items, visits), "batch": BATCH}},
    }
    config = load_config(
        {
            "preset": "small",
            "data": str(data / "scenes"),
            "out": str(out),
            "train": {"seed": seed, "loggers": [], "cache_images": True, "checkpoint_every": 40},
            "phases": {"change_detection": phase},
        }
    )
    return replace(config, phases={"change_detection": config.phases["change_detection"]})


def building_scores(model: Path, data: Path, split: str) -> dict[str, float]:
    """F1, precision and recall of buildings, in per cent, on one split."""
    report = evaluate(model, str(data), split, sentences=False, runtime="torch")
    assert report.scores.change is not None
    building = report.scores.change.building
    return {"f1": building.f1, "precision": building.precision, "recall": building.recall}


def scored(config: Config, data: Path, sources: dict[str, float]) -> dict[str, Any]:
    """Trains a run, if it is not finished, and scores its masks."""
    path = Path(config.out) / "scores.json"
    if not path.exists():
        model = train(config, resume=True)
        scores = {"scenes": building_scores(model, data / "scenes", "val")}
        if "guangzhou" not in sources:
            scores["guangzhou"] = building_scores(model, data / "guangzhou", "train")
        write_files(path.parent, {path.name: (json.dumps(scores) + "\n").encode()})
    return json.loads(path.read_text())


def summary(scores: list[dict[str, Any]], images: str) -> str:
    """F1, its standard deviation over the seeds, and (precision, recall); a dash where they were not measured."""
    measured = [score[images] for score in scores if images in score]
    if not measured:
        return "-"
    f1, precision, recall = ([score[name] for score in measured] for name in ("f1", "precision", "recall"))
    return f"{mean_and_spread(SeedScores(tuple(f1)))} ({mean(precision):.1f}, {mean(recall):.1f})"


def table(rows: dict[str, list[dict[str, Any]]]) -> str:
    """The rows in Markdown."""
    lines = ["| sources | LEVIR | Guangzhou |", "| --- | --- | --- |"]
    for name, scores in rows.items():
        lines.append(f"| {name} | {summary(scores, 'scenes')} | {summary(scores, 'guangzhou')} |")
    return "\n".join(lines)


def main() -> None:
    """Runs what is missing, one seed of all mixes after the other, and prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--visits", type=int, default=1472)
    parser.add_argument("--rows", nargs="+", choices=list(MIXES), default=list(MIXES))
    given = parser.parse_args()
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in given.rows}
    for seed in range(given.seeds):
        for name in given.rows:
            out = given.out / f"{'+'.join(MIXES[name])}-{given.visits}-{seed}"
            config = configured(MIXES[name], given.data, out, seed=seed, visits=given.visits)
            rows[name].append(scored(config, given.data, MIXES[name]))
            print(f"seed {seed}, {name}: {rows[name][-1]}", flush=True)
    kept = {"visits": given.visits, "batch": BATCH, "seeds": given.seeds, "mixes": MIXES, "rows": rows}
    write_files(given.out, {"source-ablation.json": (json.dumps(kept) + "\n").encode()})
    print(table(rows))


if __name__ == "__main__":
    main()
