"""Caption files of all forms, and one clear line for everything that can be wrong with them."""

import contextlib
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from layouts import entry

from semantic_cc.data.layouts.caption_files import CaptionEntry, find_captions, read_captions
from semantic_cc.errors import DataError


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("LevirCCcaptions.json", json.dumps({"images": [entry("a.png", "a house", "houses", changeflag=1)]})),
        (
            "captions.jsonl",
            '{"filename": "a.png", "split": "train", "changeflag": 1, "sentences": ["a  house.", "houses"]}\n\n',
        ),
        (
            "captions.csv",
            "\ufefffilename,split,changeflag,sentence\r\na.png,train,1,a house\r\na.png,train,1,houses .\r\n",
        ),
    ],
)
def test_forms_that_say_the_same(name, text, tmp_path):
    (tmp_path / name).write_text(text, encoding="utf-8", newline="")
    path = find_captions(tmp_path)
    assert read_captions(path) == [CaptionEntry("a.png", ("a house", "houses"), "train", changed=True)]


def test_names_to_sentences(tmp_path):
    path = tmp_path / "captions.json"
    path.write_text('{"a.png": ["ein Haus wird gebaut"], "b.png": []}', encoding="utf-8")
    assert read_captions(path) == [CaptionEntry("a.png", ("ein Haus wird gebaut",)), CaptionEntry("b.png")]


def test_only_a_newline_ends_a_line(tmp_path):
    path = tmp_path / "captions.jsonl"
    path.write_text('{"filename": "a.png", "sentences": ["a\u2028house"]}\n', encoding="utf-8")
    assert read_captions(path) == [CaptionEntry("a.png", ("a house",))]


def test_a_sentence_with_a_comma_is_quoted(tmp_path):
    path = tmp_path / "captions.csv"
    path.write_text('filename,sentence\na.png,"a house, and a road"\n')
    assert read_captions(path)[0].sentences == ("a house, and a road",)


def test_one_caption_file(tmp_path):
    assert find_captions(tmp_path) is None
    for name in ("captions.json", "captions.csv"):
        (tmp_path / name).write_text("{}")
    with pytest.raises(DataError, match=r"both captions\.json and captions\.csv; keep one caption file"):
        find_captions(tmp_path)


def levir(*entries: object) -> str:
    return json.dumps({"images": entries})


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("c.json", "{", "not readable as JSON"),
        ("c.json", "[" * 100_000, "not readable as JSON"),
        ("c.json", "[]", "neither LEVIR-CC's form nor name -> sentences"),
        ("c.json", '{"images": 3}', "`images` is not a list"),
        ("c.json", levir(3), "image 0: has no filename"),
        ("c.json", levir({"split": "train"}), "image 0: has no filename"),
        ("c.json", levir({"filename": "a.png"}), r"image 0: a\.png: has no list of sentences"),
        (
            "c.json",
            levir(entry("../x.png", "a")),
            r"image 0: filename '\.\./x\.png' must be a file name without a folder",
        ),
        (
            "c.json",
            levir(entry("A\\x.png", "a")),
            r"filename 'A\\\\x\.png' must be a file name without a folder; leave out",
        ),
        ("c.json", levir(entry("x.png", "a", changeflag=2)), r"x\.png: changeflag is 2; it must be 0 or 1"),
        (
            "c.json",
            levir(entry("x.png", "a", changeflag=[])),
            r"x\.png: changeflag is \[\]; it must be 0 or 1",
        ),
        (
            "c.json",
            levir(entry("x.png", "a", split="dev")),
            r"x\.png: split is 'dev'; it must be one of train",
        ),
        (
            "c.json",
            levir(entry("x.png", "a", split=["dev"])),
            r"x\.png: split is \['dev'\]; it must be one of",
        ),
        ("c.json", levir(entry("x.png", " . ")), r"x\.png: has an empty sentence; remove it"),
        ("c.json", levir(entry("x.png", "a"), entry("x.png", "a")), r"x\.png occurs twice"),
        ("c.json", levir({"filename": "x.png", "sentences": [{}]}), r"x\.png: a sentence is not a text"),
        ("c.json", '{"x.png": ["a"], "x.png": ["b"]}', r"x\.png occurs twice; make the names unique"),
        ("c.json", '{"x.png": "a"}', r"x\.png: has no list of sentences"),
        ("c.json", '{"x.png": [""]}', r"x\.png: has an empty sentence"),
        ("c.jsonl", '{"filename": "x.png", "sentences": ["a"]}\n{', "line 2: not readable as JSON"),
        ("c.jsonl", '{"filename": "x.png", "sentences": [3]}', r"line 1: x\.png: a sentence is not a text"),
        ("c.csv", "", "is empty"),
        ("c.csv", "image,text\nx.png,a", "the first line must name the columns filename and sentence"),
        ("c.csv", "filename,sentence\nx.png,", r"line 2: x\.png: has an empty sentence"),
        ("c.csv", "filename,sentence\nx.png,a, b", "line 2: not as many fields as the header; quote"),
        ("c.csv", "filename,sentence\nx.png", "line 2: not as many fields as the header"),
        ("c.csv", "filename,sentence\n,a", "line 2: has no filename"),
        ("c.csv", 'filename,sentence\nx.png,"a', "not readable as CSV after line 1"),
        (
            "c.csv",
            "filename,sentence,changeflag\nx.png,a,1\nx.png,b,0",
            r"line 3: x\.png has another changeflag or label in an earlier row",
        ),
    ],
)
def test_bad_caption_files(name, text, message, tmp_path):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        read_captions(path)
    assert "\n" not in str(caught.value)
    assert name in str(caught.value)


@pytest.mark.parametrize("name", ["c.json", "c.jsonl", "c.csv"])
def test_not_utf8(name, tmp_path):
    (tmp_path / name).write_bytes("filename,sentence\nx.png,Häuser".encode("cp1252"))
    with pytest.raises(DataError, match=rf"{name}: not UTF-8 at byte 25; save it as UTF-8"):
        read_captions(tmp_path / name)


SCALARS = st.none() | st.booleans() | st.integers(0, 2) | st.text(max_size=5) | st.floats()
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3), max_leaves=4)
KEYS = st.sampled_from(["filename", "sentences", "split", "changeflag", "label", "raw", "tokens", "images"])
OBJECTS = st.dictionaries(KEYS, VALUES | st.dictionaries(KEYS, VALUES, max_size=3), max_size=5)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    suffix=st.sampled_from([".json", ".jsonl", ".csv"]),
    content=st.binary(max_size=60)
    | st.text(max_size=60).map(str.encode)
    | OBJECTS.map(lambda row: json.dumps(row).encode())
    | st.lists(OBJECTS, max_size=3).map(lambda rows: json.dumps({"images": rows}).encode())
    | st.text(alphabet='ab,"\n1', max_size=40).map(lambda rows: f"filename,sentence,label\n{rows}".encode()),
)
def test_whatever_is_in_the_file_gives_entries_or_a_refusal(suffix, content, tmp_path):
    path = tmp_path / f"captions{suffix}"
    path.write_bytes(content)
    with contextlib.suppress(DataError):  # any other error fails
        assert all(entry.filename and all(entry.sentences) for entry in read_captions(path))
