"""What `semantic-cc score` reads: predicted sentences, and the references to score them against.

Predictions, in files of this ending::

    .json    {"a.png": "a house is built"}          or a list of objects as below
    .jsonl   {"id": "a.png", "sentence": "a house is built"}                              one line an image
    .csv     id,sentence                                                                  one row an image

The id may be called `filename` or `image_id`, the sentence `caption` (COCO's results). References: LEVIR-CC's
`captions.json` and the other caption files of docs/data.md, or COCO's captions (`images` and `annotations`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from semantic_cc.data.layouts.caption_files import CAPTION_ENDINGS, CaptionEntry, read_captions
from semantic_cc.data.text_files import parse_csv, parse_json, read_text
from semantic_cc.errors import DataError

_IDS = ("id", "filename", "image_id")
_SENTENCES = ("sentence", "caption")


@dataclass(frozen=True, slots=True)
class References:
    """The references of one split, and what else their file says.

    Attributes:
        sentences: name -> reference sentences.
        split: "train", "val", "test", or None where the file knows no splits.
        changed: name -> true change flag; None where the file does not give every one.
        train: all sentences of the file's train split, in its order; None where there is none.
        corpus: all sentences of the file, whatever their split.
    """

    sentences: dict[str, tuple[str, ...]]
    split: str | None
    changed: dict[str, bool] | None
    train: tuple[str, ...] | None
    corpus: tuple[str, ...]


def read_predictions(path: str | Path) -> dict[str, str]:
    """Name -> predicted sentence, which may be empty.

    Raises:
        DataError: unreadable, another form, no predictions, a name that occurs twice, a sentence that is no text;
            naming the file and the place in it.
    """
    path = Path(path)
    if path.suffix not in _ROWS:
        raise DataError(f"{path}: predictions must be in a {_endings(_ROWS)} file; name it so or convert it")
    found: dict[str, str] = {}
    for where, row in _ROWS[path.suffix](read_text(path), str(path)):
        name, sentence = _prediction(row, where)
        if name in found:
            raise DataError(f"{where}: {name} occurs twice; give one sentence per image")
        found[name] = sentence
    if not found:
        raise DataError(f"{path}: holds no predictions; give one sentence per image")
    return found


def read_references(path: str | Path, split: str = "test") -> References:
    """The references of `split`; of all entries where the file knows no splits.

    Raises:
        DataError: unreadable, another form, no sentences in this split; naming the file and the place in it.
    """
    path = Path(path)
    if path.suffix not in CAPTION_ENDINGS:
        raise DataError(f"{path}: references must be in a {_endings(CAPTION_ENDINGS)} file; convert it")
    entries = _coco_entries(path) or read_captions(path)
    splits = sorted({entry.split for entry in entries if entry.split is not None})
    chosen = [entry for entry in entries if entry.split in (None, split) and entry.sentences]
    if not chosen:
        known = f"its splits are {', '.join(splits)}" if splits else "it has none at all"
        raise DataError(f"{path}: no reference sentences in split {split}; {known}")
    names = {entry.filename for entry in chosen}
    if len(names) < len(chosen):  # one entry names a split and another none
        raise DataError(
            f"{path}: some names occur twice, with split {split} and without; give each its split"
        )
    flags = {entry.filename: entry.changed for entry in chosen if entry.changed is not None}
    train = tuple(sentence for entry in entries if entry.split == "train" for sentence in entry.sentences)
    return References(
        sentences={entry.filename: entry.sentences for entry in chosen},
        split=split if splits else None,
        changed=flags if len(flags) == len(chosen) else None,
        train=train or None,
        corpus=tuple(sentence for entry in entries for sentence in entry.sentences),
    )


_Rows = Iterator[tuple[str, Any]]


def _json_rows(text: str, where: str) -> _Rows:
    content = parse_json(text, where)
    if isinstance(content, dict):
        yield from ((f"{where}: {name}", {"id": name, "sentence": said}) for name, said in content.items())
    elif isinstance(content, list):
        yield from ((f"{where}: item {number}", row) for number, row in enumerate(content, 1))
    else:
        raise DataError(
            f"{where}: neither name -> sentence nor a list of id and sentence; see docs/scoring.md"
        )


def _jsonl_rows(text: str, where: str) -> _Rows:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield f"{where}: line {number}", parse_json(line, f"{where}: line {number}")


def _csv_rows(text: str, where: str) -> _Rows:
    return parse_csv(text, where, (_IDS, _SENTENCES))


_ROWS = {".json": _json_rows, ".jsonl": _jsonl_rows, ".csv": _csv_rows}


def _prediction(row: Any, where: str) -> tuple[str, str]:
    """Name and sentence of one row; a list of one sentence is that sentence, as pycocoevalcap has it."""
    if not isinstance(row, dict):
        raise DataError(f"{where}: is not an object with id and sentence; see docs/scoring.md")
    name, sentence = _first(row, reversed(_IDS)), _first(row, _SENTENCES)  # an `id` may be the row's own
    if isinstance(name, bool) or not isinstance(name, str | int) or name == "":
        raise DataError(f"{where}: has no id; give the image's name under one of {', '.join(_IDS)}")
    if isinstance(sentence, list) and len(sentence) == 1:
        sentence = sentence[0]
    if not isinstance(sentence, str):
        raise DataError(f'{where}: has no sentence; give one text, "" for an empty one')
    return str(name), sentence


def _first(row: dict[str, Any], keys: Iterable[str]) -> Any:
    return next((row[key] for key in keys if key in row), None)


def _coco_entries(path: Path) -> list[CaptionEntry]:
    """COCO's captions: each annotation has one sentence of the image `image_id`, its name; else nothing."""
    text = read_text(path)
    if path.suffix != ".json" or '"annotations"' not in text:
        return []
    content = parse_json(text, str(path))
    annotations = content.get("annotations") if isinstance(content, dict) else None
    if not isinstance(annotations, list):
        return []
    said: dict[str, list[str]] = {}
    for number, annotation in enumerate(annotations):
        name, sentence = _prediction(annotation, f"{path}: annotation {number}")
        said.setdefault(name, []).append(sentence)
    return [CaptionEntry(name, tuple(sentences)) for name, sentences in said.items()]


def _endings(known: Iterable[str]) -> str:
    return ", ".join(sorted(known))
