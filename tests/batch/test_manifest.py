"""One list of pairs in four kinds of files, and what is wrong with others."""

import datetime
import json
from pathlib import Path

import geopandas
import pandas
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from semantic_cc.batch.manifest import LONGEST_NAME, ManifestEntry, read_manifest
from semantic_cc.errors import DataError

ROWS = [
    {"id": "a/1", "before": "x/a.tif", "after": "/y/b.tif", "bands": "3,2,1/1,2,3", "crs": "EPSG:32614"},
    {
        "id": "17", "before": "https://example.org/a.tif", "after": "s3://b/c.tif",
        "date_before": "2020-01-31", "date_after": "2024-05-01T10:00:00",
    },
]  # fmt: skip


def expected(folder: Path) -> tuple[ManifestEntry, ...]:
    return (
        ManifestEntry("a/1", f"{folder}/x/a.tif", "/y/b.tif", ((3, 2, 1), (1, 2, 3)), "EPSG:32614"),
        ManifestEntry(
            "17", "https://example.org/a.tif", "s3://b/c.tif", dates=("2020-01-31", "2024-05-01T10:00:00")
        ),
    )


def stac_item(row: dict[str, str]) -> dict:
    names = {
        "bands": "semantic_cc:bands", "crs": "semantic_cc:crs",
        "date_before": "start_datetime", "date_after": "end_datetime",
    }  # fmt: skip
    return {
        "type": "Feature", "stac_version": "1.0.0", "id": row["id"], "geometry": None,
        "properties": {"datetime": None, **{name: row[key] for key, name in names.items() if key in row}},
        "assets": {key: {"href": row[key]} for key in ("before", "after")},
    }  # fmt: skip


def save(path: Path, rows: list[dict[str, str]]) -> Path:
    frame = pandas.DataFrame(rows)
    if path.suffix == ".csv":
        frame.to_csv(path, index=False)
    elif path.suffix == ".parquet":
        frame.to_parquet(path)
    elif path.suffix == ".geoparquet":
        points = [shapely.Point(number, 0) for number in range(len(rows))]
        geopandas.GeoDataFrame(frame, geometry=points, crs=4326).to_parquet(path)
    else:
        path.write_text(json.dumps({"type": "FeatureCollection", "features": [*map(stac_item, rows)]}))
    return path


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".geoparquet", ".json", ".geojson", ".CSV"])
def test_every_kind_gives_the_same_pairs(suffix: str, tmp_path: Path) -> None:
    path = save(tmp_path / f"pairs{suffix.lower()}", ROWS)
    path = path.rename(path.with_suffix(suffix))
    manifest = read_manifest(path)
    assert manifest.entries == expected(tmp_path)
    assert manifest.unread == (("geometry",) if suffix == ".geoparquet" else ())


def test_paths_are_relative_to_the_manifest_wherever_one_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path / "pairs.csv", ROWS)
    monkeypatch.chdir(tmp_path)
    assert read_manifest("pairs.csv").entries == expected(tmp_path)


def test_cells_of_other_types_are_read_as_text(tmp_path: Path) -> None:
    day = datetime.date(2020, 1, 31)
    pandas.DataFrame(
        {"id": [1, 2], "before": "a", "after": "file:///b%20c.tif", "date_before": day, "date_after": day}
    ).to_parquet(tmp_path / "pairs.parquet")
    first, second = read_manifest(tmp_path / "pairs.parquet").entries
    assert (first.id, second.id, first.after) == ("1", "2", "/b c.tif")
    assert first.dates == ("2020-01-31", "2020-01-31")


def test_empty_cells_are_not_given_and_other_columns_are_named(tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text("\ufeffid,before,after,bands,city\na,b,c,,Austin\n", encoding="utf-8")
    manifest = read_manifest(path)
    assert manifest.entries[0].bands is None and manifest.unread == ("city",)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("absent.csv", None, r"absent\.csv: no such file"),
        ("pairs.xlsx", "", r"is not a manifest; give a file that ends in \.csv, \.parquet"),
        ("pairs.csv", "", "has no column 'id'; the columns id, before, after are needed"),
        ("pairs.csv", "id,before\na,b\n", "has no column 'after'"),
        ("pairs.csv", "id,before,after\n", "lists no pair"),
        ("pairs.csv", "id,before,after\na,b,c\na,d,e\n", "line 3: the id 'a' is used twice"),
        ("pairs.csv", "id,before,after\na,b,\n", "line 2: has no 'after'; fill it in"),
        ("pairs.csv", "id,before,after\n,b,c\n", "line 2: has no 'id'"),
        ("pairs.csv", "id,before,after\na,b,c,d\n", "line 2: has more cells"),
        ("pairs.csv", 'id,before,after\na,"b,c\n', "cannot be read .*save it as CSV"),
        ("pairs.csv", b"id,before,after\n\xff,b,c\n", "cannot be read .*UTF-8"),
        ("pairs.csv", "id,before,after,bands\na,b,c,1\n", "line 2: bands '1': give the numbers"),
        ("pairs.csv", "id,before,after,crs\na,b,c,nowhere\n", "line 2: 'nowhere' is not a coordinate reference"),
        ("pairs.csv", "id,before,after,date_before\na,b,c,2020-01-01\n", "line 2: has one date; give"),
        ("pairs.csv", "id,before,after,date_before,date_after\na,b,c,x,y\n", "line 2: 'x' is not a date"),
        (
            "pairs.csv", "id,before,after,date_before,date_after\na,b,c,2020-01-01,9999-12-31T23:00:00-05:00\n",
            "line 2: '9999-12-31T23:00:00-05:00' is not a date",
        ),
        ("pairs.csv", f"id,before,after\n{'x' * 201},b,c\n", "line 2: the id 'xxx.*too long"),
        ("pairs.parquet", "id,before,after\n", "cannot be read .*write it again"),
        ("pairs.json", "{", "cannot be read .*write it again"),
        ("pairs.json", "[]", "is not a STAC item collection"),
        ("pairs.json", '{"features": [{"id": "a", "assets": {}}]}', "item 1: has no 'before'"),
        ("pairs.json", '{"features": [3]}', "item 1: has no 'id'"),
        ("pairs.json", r'{"features": [{"id": "\ud800", "assets": {}}]}', "item 1: 'id' holds half a surrogate pair"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_one_line(
    name: str, text: str | bytes | None, message: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DataError, match=message) as refusal:
        read_manifest(path)
    assert str(refusal.value).startswith(str(path)) and "\n" not in str(refusal.value)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), min_size=2, unique=True))
def test_every_id_has_a_folder_of_its_own(ids: list[str]) -> None:
    folders = [ManifestEntry(name, "a", "b").folder for name in ids]
    assert len(set(folders)) == len(ids)
    for folder in folders:
        assert folder.isascii() and folder not in (".", "..") and not folder.startswith(".")
        assert not set(folder) & set('/\\:*?"<>|\0\n')


def test_ids_are_folders_as_they_are_where_they_can_be() -> None:
    assert ManifestEntry("Tile 31_a-2.b", "", "").folder == "Tile 31_a-2.b"
    assert ManifestEntry("é" * 33, "", "").folder == "%C3%A9" * 33 and len("%C3%A9" * 33) < LONGEST_NAME
