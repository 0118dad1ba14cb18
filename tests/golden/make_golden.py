"""Golden outputs of the packaged model `small`: pairs, a scene, a batch and an evaluation.

    python tests/golden/make_golden.py [FILE.json]

computes them on one thread and writes them to FILE.json, by default the kept ``golden.json``. All images are drawn
from a seed. The functions below are all that knows the package's public names: adapt them when a name changes.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

# Before torch is imported: sums are equal to the bit only with the same number of threads.
os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import torch

KEPT = Path(__file__).with_name("golden.json")
MODEL = "small"
RUNTIME = "torch"  # the reference
PAIRS, PAIRS_SEED = 20, 11
SCENE_SIDE, SCENE_SEED = 1024, 1
BATCH_PAIRS = 3
EVALUATION_PAIRS, EVALUATION_SEED = 10, 12

Json = dict[str, Any]


def machine() -> Json:
    """What the bits of a result depend on besides the code: bfloat16 sums differ between CPUs and torch versions."""
    info: dict[str, str] = {}
    cpuinfo = Path("/proc/cpuinfo")
    for line in cpuinfo.read_text().split("\n\n")[0].splitlines() if cpuinfo.exists() else ():
        key, _, value = line.partition(":")
        info[key.strip()] = value.strip()
    cpu = " ".join(info.get(key, "?") for key in ("model name", "cpu family", "model", "stepping"))
    return {"cpu": cpu, "torch": torch.__version__}


def run_cli(*arguments: object) -> None:
    """Runs the command line in a process of its own."""
    command = [sys.executable, "-m", "semantic_cc", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{done.stdout}{done.stderr}")


def draw_pairs(folder: Path, pairs: int, seed: int) -> list[tuple[str, Path, Path]]:
    """Draws synthetic pairs; returns the name and both images of each, in order of the names."""
    run_cli("synth", folder, "--pairs", pairs, "--seed", seed, "--workers", 1)
    befores = sorted(folder.glob("images/*/A/*.png"), key=lambda path: path.name)
    return [(path.stem, path, path.parents[1] / "B" / path.name) for path in befores]


def draw_scene(folder: Path, side: int, seed: int) -> tuple[Path, Path]:
    """Draws a synthetic scene on the map; returns both images."""
    run_cli("synth", folder, "--scene", side, "--crs", "EPSG:32614", "--seed", seed)
    return folder / "before.tif", folder / "after.tif"


def load_model() -> Any:
    """The packaged model on the CPU."""
    from semantic_cc import SemanticCC

    return SemanticCC.from_pretrained(MODEL, device="cpu", runtime=RUNTIME)


def describe_pair(model: Any, before: Path, after: Path) -> Json:
    """Mask, probability, sentence and flag of one pair."""
    description = model.describe(before, after)
    assert description.probability.dtype == np.float32
    return {
        "mask": sha256(description.mask),
        "probability": sha256(description.probability),
        "sentence": description.sentence,
        "changed": description.changed,
    }


def describe_scene(before: Path, after: Path, out: Path) -> Json:
    """Mask and probability rasters of a scene, and the sentences of its places."""
    import rasterio

    run_cli(
        "describe",
        before,
        after,
        "--model",
        MODEL,
        "--runtime",
        RUNTIME,
        "--out",
        out,
        "--formats",
        "geojson",
    )
    rasters = {}
    for name in ("mask", "probability"):
        with rasterio.open(out / f"{name}.tif") as raster:
            rasters[name] = sha256(raster.read())
    report = json.loads((out / "report.json").read_text())
    return {
        **rasters,
        "sentence": report["sentence"],
        "places": [place["sentence"] for place in report["places"]],
    }


def describe_batch(pairs: list[tuple[str, Path, Path]], out: Path) -> Json:
    """Sentence of each pair of a manifest."""
    manifest = out.with_suffix(".csv")
    rows = ["id,before,after", *(f"{name},{before},{after}" for name, before, after in pairs)]
    manifest.write_text("\n".join(rows) + "\n")
    run_cli("batch", manifest, "--model", MODEL, "--runtime", RUNTIME, "--out", out)
    reports = {name: out / "pairs" / name / "report.json" for name, _, _ in pairs}
    return {name: json.loads(path.read_text())["sentence"] for name, path in reports.items()}


def evaluate(data: Path, out: Path) -> Json:
    """The main scores on the training split of a dataset, which is its largest."""
    options = ("--split", "train", "--no-meteor", "--runtime", RUNTIME)
    run_cli("evaluate", "--model", MODEL, "--data", data, *options, "--out", out)
    scores = json.loads(out.read_text())
    captions = scores["captions"]
    names = ("BLEU-1", "BLEU-4", "ROUGE-L", "CIDEr")
    return {
        "pairs": scores["pairs"],
        "confusion": scores["change"]["confusion"],
        "mean_iou": scores["change"]["mean_iou"],
        "flag_accuracy": captions["flag_accuracy"],
        **{part: {name: captions[part][name] for name in names} for part in ("all", "changed", "unchanged")},
    }


def sha256(array: np.ndarray) -> str:
    """Digest of an array's bytes, row by row."""
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def make() -> Json:
    """All golden outputs."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        pairs = draw_pairs(folder / "pairs", PAIRS, PAIRS_SEED)
        draw_pairs(folder / "evaluation", EVALUATION_PAIRS, EVALUATION_SEED)
        model = load_model()
        return {
            "machine": machine(),
            "pairs": {name: describe_pair(model, before, after) for name, before, after in pairs},
            "scene": describe_scene(
                *draw_scene(folder / "scene", SCENE_SIDE, SCENE_SEED), folder / "described"
            ),
            "batch": describe_batch(pairs[:BATCH_PAIRS], folder / "batch"),
            "evaluation": evaluate(folder / "evaluation", folder / "scores.json"),
        }


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else KEPT
    target.write_text(json.dumps(make(), indent=1) + "\n")
