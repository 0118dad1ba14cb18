"""Prediction and reference files in all their forms, and one clear line for what can be wrong with them."""

import contextlib
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from layouts import entry

from semantic_cc.data.prediction_files import read_predictions, read_references
from semantic_cc.errors import DataError

SAID = {"a.png": "a house, and a road", "b.png": "", "c.png": "häuser \u2028 房子"}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("p.json", json.dumps(SAID)),
        ("p.json", json.dumps({name: [sentence] for name, sentence in SAID.items()})),
        ("p.json", json.dumps([{"id": name, "sentence": said} for name, said in SAID.items()])),
        ("p.json", json.dumps([{"image_id": name, "caption": said} for name, said in SAID.items()])),
        (
            "p.jsonl",
            "\n".join(
                json.dumps({"filename": n, "sentence": s}, ensure_ascii=False) for n, s in SAID.items()
            ),
        ),
        ("p.csv", 'id,sentence\r\na.png,"a house, and a road"\r\nb.png,\r\nc.png,häuser \u2028 房子\r\n'),
        (
            "p.csv",
            '\ufefffilename,caption,model\na.png,"a house, and a road",m\nb.png,,m\nc.png,häuser \u2028 房子,m',
        ),
    ],
)
def test_predictions_that_say_the_same(name, text, tmp_path):
    path = tmp_path / name
    path.write_bytes(text.encode())
    assert read_predictions(path) == SAID


def test_a_number_is_an_id(tmp_path):
    path = tmp_path / "results.json"
    path.write_text('[{"image_id": 42, "caption": "a house"}]')
    assert read_predictions(path) == {"42": "a house"}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("p.json", "", "is empty; write or fetch it again"),
        ("p.jsonl", " \n\n", "is empty"),
        ("p.csv", "", "is empty"),
        ("p.json", "{}", "holds no predictions"),
        ("p.json", "[]", "holds no predictions"),
        ("p.csv", "id,sentence\n", "holds no predictions"),
        ("p.json", "{", "not readable as JSON"),
        ("p.json", '"a"', "neither name -> sentence nor a list of id and sentence"),
        ("p.json", '{"a": "x", "a": "y"}', "a occurs twice; make the names unique"),
        ("p.json", '{"a": null}', "a: has no sentence; give one text"),
        ("p.json", '{"a": ["x", "y"]}', "a: has no sentence; give one text"),
        ("p.json", '["a"]', "item 1: is not an object with id and sentence"),
        (
            "p.json",
            '[{"sentence": "x"}]',
            "item 1: has no id; give the image's name under one of id, filename",
        ),
        ("p.json", '[{"id": true, "sentence": "x"}]', "item 1: has no id"),
        ("p.json", '[{"id": "1", "sentence": "x"}, {"id": 1, "sentence": "y"}]', "item 2: 1 occurs twice"),
        ("p.json", '{"a": "\\ud800"}', "holds half a surrogate pair"),
        ("p.jsonl", '{"id": "a", "sentence": "x"}\n{"id": "a", "sentence": "y"}', "line 2: a occurs twice"),
        ("p.jsonl", '{"id": "a", "sentence": "x"}\n{', "line 2: not readable as JSON"),
        ("p.csv", "name,text\na,x", "the first line must name the columns id and sentence"),
        ("p.csv", "id,sentence\na,x,y", "line 2: not as many fields as the header"),
        ("p.csv", "id,sentence\na,x\na,y", "line 3: a occurs twice"),
        ("p.csv", 'id,sentence\na,"x', "not readable as CSV after line"),
        ("p.txt", "a x", r"predictions must be in a \.csv, \.json, \.jsonl file"),
    ],
)
def test_bad_predictions(name, text, message, tmp_path):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        read_predictions(path)
    assert "\n" not in str(caught.value)
    assert name in str(caught.value)


def test_no_file(tmp_path):
    for read in (read_predictions, read_references):
        with pytest.raises(DataError, match=r"no\.json: no such file; check the path"):
            read(tmp_path / "no.json")


def test_references_of_levir_cc(tmp_path):
    path = tmp_path / "captions.json"
    images = [
        entry("t.png", " a house .", split="train", changeflag=1),
        entry("a.png", " a road .", "roads", split="test", changeflag=1),
        entry("b.png", "no change", split="test", changeflag=0),
    ]
    path.write_text(json.dumps({"images": images}))
    found = read_references(path)
    assert found.sentences == {"a.png": ("a road", "roads"), "b.png": ("no change",)}
    assert found.changed == {"a.png": True, "b.png": False}
    assert (found.split, found.train) == ("test", ("a house",))
    assert found.corpus == ("a house", "a road", "roads", "no change")
    assert read_references(path, "train").sentences == {"t.png": ("a house",)}
    with pytest.raises(DataError, match=r"no reference sentences in split val; its splits are test, train"):
        read_references(path, "val")


def test_references_of_coco(tmp_path):
    path = tmp_path / "captions_val.json"
    said = [(7, 1, "A house."), (9, 2, "no change"), (7, 3, "houses")]
    content = {
        "images": [{"id": 7, "file_name": "7.jpg"}, {"id": 9, "file_name": "9.jpg"}],
        "annotations": [{"image_id": image, "id": number, "caption": text} for image, number, text in said],
    }
    path.write_text(json.dumps(content))
    found = read_references(path)
    assert found.sentences == {"7": ("A house.", "houses"), "9": ("no change",)}
    assert (found.split, found.changed, found.train) == (None, None, None)
    content["annotations"][1].pop("caption")
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match="annotation 1: has no sentence"):
        read_references(path)


def test_references_in_a_table(tmp_path):
    path = tmp_path / "references.csv"
    path.write_text("id,sentence\na.png,a house\na.png,houses\nb.png,no change\n")
    found = read_references(path)
    assert found.sentences == {"a.png": ("a house", "houses"), "b.png": ("no change",)}
    assert (found.split, found.changed, found.train) == (None, None, None)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("r.json", "", "is empty"),
        ("r.json", "[]", "neither LEVIR-CC's form nor name -> sentences"),
        ("r.json", '{"a.png": []}', "no reference sentences in split test; it has none at all"),
        ("r.json", '{"annotations": [3]}', "annotation 0: is not an object"),
        ("r.txt", "a", r"references must be in a \.csv, \.json, \.jsonl file"),
        (
            "r.csv",
            "id,sentence,split\na.png,x,\na.png,y,test",
            "some names occur twice, with split test and without",
        ),
    ],
)
def test_bad_references(name, text, message, tmp_path):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        read_references(path)
    assert name in str(caught.value)


SCALARS = st.none() | st.booleans() | st.integers(0, 2) | st.text(max_size=5) | st.floats()
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3), max_leaves=4)
KEYS = st.sampled_from(["id", "image_id", "filename", "sentence", "caption", "annotations", "images"])
OBJECTS = st.dictionaries(KEYS, VALUES, max_size=4)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    suffix=st.sampled_from([".json", ".jsonl", ".csv"]),
    content=st.binary(max_size=60)
    | st.text(max_size=60).map(str.encode)
    | OBJECTS.map(lambda row: json.dumps(row).encode())
    | st.lists(OBJECTS, max_size=3).map(lambda rows: json.dumps(rows).encode())
    | st.lists(OBJECTS, max_size=3).map(lambda rows: json.dumps({"annotations": rows}).encode())
    | st.text(alphabet='ab,"\n1', max_size=40).map(lambda rows: f"id,sentence\n{rows}".encode()),
)
def test_whatever_is_in_the_file_gives_sentences_or_a_refusal(suffix, content, tmp_path):
    path = tmp_path / f"file{suffix}"
    path.write_bytes(content)
    for read in (read_predictions, read_references):
        with contextlib.suppress(DataError):  # any other error fails
            assert read(path)
