"""Caption files: LEVIR's JSON, a JSON of name -> sentences, JSON lines, CSV.

::

    {"images": [{"filename": "a.png", "split": "train", "changeflag": 1, "sentences": [{"raw": " a house ."}]}]}
    {"a.png": ["a house is built", "a new house"]}
    {"filename": "a.png", "sentences": ["a house is built"]}              one line an item
    filename,sentence                                                     one row a sentence

In LEVIR's JSON and JSON lines, `sentences` contains strings or LEVIR's objects. `split`, `changeflag` (0 or 1) and
`label` (whether the item has a mask) are optional. In CSV, these are columns, and `filename` may be called `id`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from semantic_cc.data.layouts.faults import FaultHandler, raise_fault
from semantic_cc.data.text_files import parse_csv, parse_json, read_text
from semantic_cc.errors import DataError
from semantic_cc.types import SPLITS

CAPTION_ENDINGS = (".json", ".jsonl", ".csv")
CAPTION_FILES = ("LevirCCcaptions.json", "captions.json", "captions.jsonl", "captions.csv")


@dataclass(frozen=True, slots=True)
class CaptionEntry:
    """The entry of a caption file for one pair.

    Attributes:
        filename: file name of the images, without folders.
        sentences: captions without full stop.
        split: "train", "val" or "test"; None if not given.
        changed: change flag; None if not given.
        label: whether the item has a mask; None if not given.
    """

    filename: str
    sentences: tuple[str, ...] = ()
    split: str | None = None
    changed: bool | None = None
    label: bool | None = None


def find_captions(folder: Path) -> Path | None:
    """The caption file in `folder`, or None.

    Raises:
        DataError: there are several caption files.
    """
    found = [folder / name for name in CAPTION_FILES if (folder / name).is_file()]
    if len(found) > 1:
        raise DataError(f"{folder}: both {found[0].name} and {found[1].name}; keep one caption file")
    return found[0] if found else None


def read_captions(path: Path, on_fault: FaultHandler = raise_fault) -> list[CaptionEntry]:
    """Reads all entries of a caption file, in their order.

    Args:
        path: the file.
        on_fault: receives each fault of a single entry; if it returns, the entry is skipped.

    Raises:
        DataError: the file cannot be read, is not in UTF-8 or has another format; or an entry has no name, a path as
            its name, an empty sentence, an invalid split or flag, or a name that occurs twice in its split.
    """
    entries: dict[tuple[str | None, str], CaptionEntry] = {}
    for where, row in _ROWS[path.suffix](read_text(path), str(path)):
        try:
            entry = _entry(row, where)
            if entries.setdefault((entry.split, entry.filename), entry) is not entry:
                raise DataError(f"{path}: {entry.filename} occurs twice; make the names unique")
        except DataError as fault:
            on_fault(fault)
    return list(entries.values())


def levir_entry(
    imgid: int, sentid: int, name: str, split: str, sentences: Sequence[str], changed: bool | None
) -> dict[str, object]:
    """A pair as an entry of LEVIR's JSON; its sentences are numbered from `sentid` on."""
    ids = list(range(sentid, sentid + len(sentences)))
    return {
        "imgid": imgid,
        "filename": name,
        "filepath": split,
        "split": split,
        **({} if changed is None else {"changeflag": int(changed)}),
        "sentids": ids,
        "sentences": [
            {"tokens": text.split(), "raw": f" {text} .", "imgid": imgid, "sentid": number}
            for number, text in zip(ids, sentences, strict=True)
        ],
    }


_Rows = Iterator[tuple[str, Any]]


def _json_rows(text: str, where: str) -> _Rows:
    content = parse_json(text, where)
    if not isinstance(content, dict):
        raise DataError(f"{where}: neither LEVIR-CC's form nor name -> sentences; see docs/data.md")
    if "images" in content:
        if not isinstance(content["images"], list):
            raise DataError(f"{where}: `images` is not a list; fetch the file again")
        yield from ((f"{where}: image {number}", image) for number, image in enumerate(content["images"]))
    else:
        yield from ((where, {"filename": name, "sentences": said}) for name, said in content.items())


def _jsonl_rows(text: str, where: str) -> _Rows:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield f"{where}: line {number}", parse_json(line, f"{where}: line {number}")


def _csv_rows(text: str, where: str) -> _Rows:
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for place, row in parse_csv(text, where, (("filename", "id"), ("sentence",))):
        facts = {key: row.get(key) or None for key in ("filename", "split", "changeflag", "label")}
        key = (str(facts["filename"]), str(facts["split"]))
        known = rows.setdefault(key, {**facts, "where": place, "sentences": []})
        if any(known[name] != fact for name, fact in facts.items()):
            raise DataError(
                f"{place}: {key[0]} has another changeflag or label in an earlier row; make them agree"
            )
        known["sentences"].append(row["sentence"])
    yield from ((row["where"], row) for row in rows.values())


_ROWS = {".json": _json_rows, ".jsonl": _jsonl_rows, ".csv": _csv_rows}


def _entry(row: Any, where: str) -> CaptionEntry:
    name = row.get("filename") if isinstance(row, dict) else None
    if not isinstance(name, str) or not name:
        raise DataError(f"{where}: has no filename; name the images")
    if "/" in name or "\\" in name:
        raise DataError(
            f"{where}: filename {name!r} must be a file name without a folder; leave out the folders"
        )
    where = where if name in where else f"{where}: {name}"
    split = row.get("split")
    if split not in (None, *SPLITS):
        raise DataError(f"{where}: split is {split!r}; it must be one of {', '.join(SPLITS)}")
    sentences = row.get("sentences")
    if not isinstance(sentences, list):
        raise DataError(f"{where}: has no list of sentences; give one, or an empty list if there are none")
    return CaptionEntry(
        name,
        tuple(_sentence(sentence, where) for sentence in sentences),
        split,
        _flag(row, "changeflag", where),
        _flag(row, "label", where),
    )


def _sentence(sentence: Any, where: str) -> str:
    """The sentence without full stop and outer blanks; in LEVIR's objects, it is `raw`, or else `tokens`."""
    if isinstance(sentence, dict):
        tokens = sentence.get("tokens")
        sentence = sentence.get("raw", " ".join(map(str, tokens)) if isinstance(tokens, list) else None)
    if not isinstance(sentence, str):
        raise DataError(f"{where}: a sentence is not a text; give a string, or an object with raw or tokens")
    plain = " ".join(sentence.split()).rstrip(" .")
    if not plain:
        raise DataError(f"{where}: has an empty sentence; remove it")
    return plain


def _flag(row: dict[str, Any], key: str, where: str) -> bool | None:
    value = row.get(key)
    if value not in (None, 0, 1, "0", "1"):
        raise DataError(f"{where}: {key} is {value!r}; it must be 0 or 1")
    return None if value is None else bool(int(value))
