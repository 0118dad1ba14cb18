"""Text files that people write: UTF-8, JSON without doubled keys, one clear line for what is wrong."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from semantic_cc.errors import DataError


def read_text(path: Path) -> str:
    """The whole file, without the mark that spreadsheets put first.

    Raises:
        DataError: not there, unreadable, empty, or not UTF-8.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 at byte {error.start}; save it as UTF-8") from error
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file; check the path") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error
    if not text.strip():
        raise DataError(f"{path}: is empty; write or fetch it again")
    return text


def parse_json(text: str, where: str) -> Any:
    """The content of a JSON text.

    Raises:
        DataError: no JSON, a key that occurs twice in an object, half a surrogate pair; `where` begins the line.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        content = dict(pairs)
        if len(content) < len(pairs):  # Python would keep the last without a word
            keys = [key for key, _ in pairs]
            twice = next(key for position, key in enumerate(keys) if key in keys[:position])
            raise DataError(f"{where}: {twice} occurs twice; make the names unique")
        return content

    try:
        content = json.loads(text, object_pairs_hook=unique)
        if "\\ud" in text.lower():  # an escape may be half a pair, which no file and no terminal takes
            json.dumps(content, ensure_ascii=False).encode()
    except DataError:
        raise
    except UnicodeEncodeError as error:
        raise DataError(f"{where}: holds half a surrogate pair (\\ud...); write whole characters") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: not readable as JSON ({error}); correct it or fetch it again") from error
    return content


def parse_csv(
    text: str, where: str, columns: Sequence[Sequence[str]]
) -> Iterator[tuple[str, dict[str, str]]]:
    """The rows of a table whose first line names its columns, each with its place for messages.

    Args:
        columns: what must be there; each a list of the names it may have, in a row under the first of them.

    Raises:
        DataError: a column is missing, a row has not as many fields as the header, or quotes are left open.
    """
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        header = reader.fieldnames or ()
        used = [next((name for name in names if name in header), None) for names in columns]
        if None in used:
            wanted = " and ".join(names[0] for names in columns)
            raise DataError(f"{where}: the first line must name the columns {wanted}; add it")
        for row in reader:
            place = f"{where}: line {reader.line_num}"
            if None in row or None in row.values():
                raise DataError(f"{place}: not as many fields as the header; quote sentences with commas")
            found = {
                names[0]: row[name] for names, name in zip(columns, used, strict=True) if name is not None
            }
            yield place, row | found
    except csv.Error as error:
        raise DataError(
            f"{where}: not readable as CSV after line {reader.line_num} ({error}); correct it"
        ) from error
