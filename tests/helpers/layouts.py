"""Writes a small dataset in each layout, the same bytes for the same seed. Images are blotches of colour."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

SENTENCES = {"a": ("a house is built", "a new house"), "b": ("no change has occurred",), "c": ("a road",)}
FLAGS = {"a": 1, "b": 0, "c": 1}


def blotches(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """(height, width, 3) uint8: coarse structure, which survives recompression, and a little grain."""
    coarse = rng.integers(20, 236, (height // 16, width // 16, 3)).repeat(16, 0).repeat(16, 1)
    return (coarse + rng.integers(-8, 9, (height, width, 3))).clip(0, 255).astype(np.uint8)


def save(image: np.ndarray, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)


def write_pair(
    folder: Path, name: str, rng: np.random.Generator, side: int = 32, values: tuple[int, ...] | None = None
) -> None:
    """A, B and, with `values`, a mask in which each of them occurs."""
    before = blotches(rng, side, side)
    after = before.copy()
    after[: side // 4] = rng.integers(0, 256, 3)
    save(before, folder / "A" / name)
    save(after, folder / "B" / name)
    if values is not None:
        label = np.full((side, side), values[0], np.uint8)
        for k, value in enumerate(values[1:]):
            label[4 * k : 4 * k + 4] = value
        save(label, folder / "label" / name)


def entry(name: str, *sentences: str, split: str = "train", **more: object) -> dict:
    """An entry of LEVIR's caption file."""
    return {"filename": name, "split": split, "sentences": [{"raw": f" {s} ."} for s in sentences], **more}


def write_levir_mci(
    root: Path, *, labels: bool = True, captions: str | None = "LevirCCcaptions.json"
) -> Path:
    """Pairs a, b, c in each of train and test; one entry has tokens in place of raw."""
    rng = np.random.default_rng(1)
    entries = []
    for split in ("train", "test"):
        for key, said in SENTENCES.items():
            name = f"{split}_{key}.png"
            write_pair(root / "images" / split, name, rng, values=(0, 128, 255) if labels else None)
            entries.append(entry(name, *said, split=split, changeflag=FLAGS[key]))
    entries[2]["sentences"] = [{"tokens": ["a", "road"]}]
    if captions is not None:
        (root / captions).write_text(json.dumps({"images": entries, "dataset": "blotches"}))
    return root


def write_levir_cd(root: Path, side: int = 512) -> Path:
    """A scene of `side` pixels in each split, with something built in its upper left corner."""
    rng = np.random.default_rng(2)
    for split in ("train", "val", "test"):
        write_pair(root / split, f"{split}_1.png", rng, side, values=(0, 255))
    return root


def write_cd_list(root: Path) -> Path:
    """Pairs a, b in train, c in test."""
    rng = np.random.default_rng(3)
    for key in "abc":
        write_pair(root, f"{key}.png", rng, values=(0, 255))
    (root / "list").mkdir()
    (root / "list" / "train.txt").write_text("b.png\na.png\n")
    (root / "list" / "test.txt").write_text("c.png\r\n")
    return root


def write_own(root: Path, captions: str | None = "captions.json") -> Path:
    """Pair a has a mask and sentences, b sentences, c a mask, d neither. A caption file of the given form."""
    rng = np.random.default_rng(4)
    for key in "abcd":
        write_pair(root, f"{key}.png", rng, values=(0, 255) if key in "ac" else None)
    said = {f"{key}.png": SENTENCES[key] for key in "ab"}
    if captions == "captions.json":
        text = json.dumps(said)
    elif captions == "LevirCCcaptions.json":
        text = json.dumps({"images": [entry(name, *sentences) for name, sentences in said.items()]})
    elif captions == "captions.jsonl":
        lines = [{"filename": name, "sentences": sentences} for name, sentences in said.items()]
        text = "".join(json.dumps(line) + "\n" for line in lines)
    elif captions == "captions.csv":
        text = "filename,sentence\n" + "".join(
            f'{n},"{s}"\n' for n, sentences in said.items() for s in sentences
        )
    if captions is not None:
        (root / captions).write_text(text)
    return root
