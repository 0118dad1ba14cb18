"""Converting between layouts loses what it says it loses, and nothing else."""

import layouts as write
import numpy as np
import pytest
from PIL import Image

from semantic_cc.data.convert_layout import convert
from semantic_cc.data.layouts.detect_layout import detect_layout
from semantic_cc.data.open_dataset import index, open_dataset
from semantic_cc.errors import DataError, OutputError
from semantic_cc.types import SPLITS


def check_same(source, out):
    for split in SPLITS:
        assert len(index(source, split)) == len(index(out, split))
        if not index(source, split):
            continue
        one, other = open_dataset(source, split), open_dataset(out, split)
        for number in range(len(one)):
            a, b = one[number], other[number]
            assert (a.name, a.sentences, a.changed) == (b.name, b.sentences, b.changed)
            for first, second in ((a.before, b.before), (a.after, b.after), (a.label, b.label)):
                np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(
    "writer", [write.write_levir_mci, write.write_levir_cd, write.write_cd_list, write.write_own]
)
def test_levir_mci_keeps_everything(writer, tmp_path):
    source, seen = writer(tmp_path / "source"), []
    assert convert(source, tmp_path / "out", "levir-mci", lambda *at: seen.append(at)) == []
    assert detect_layout(tmp_path / "out").NAME == "LEVIR-CC or LEVIR-MCI"
    check_same(source, tmp_path / "out")
    assert seen == [(done, len(seen)) for done in range(1, len(seen) + 1)]


def test_lists_of_levir_cd_keep_the_tiles(tmp_path):
    source = write.write_levir_cd(tmp_path / "source")
    assert convert(source, tmp_path / "out", "list") == []
    assert detect_layout(tmp_path / "out").NAME == "pre-cut with lists"
    check_same(source, tmp_path / "out")
    label = np.asarray(Image.open(tmp_path / "out/label/train_1_0000_0000.png"))
    assert set(np.unique(label)) == {0, 255}


def test_lists_leave_out_what_they_cannot_hold_and_say_so(tmp_path):
    source = write.write_levir_mci(tmp_path / "mci")
    assert convert(source, tmp_path / "1", "list") == ["8 sentences", "changed roads, in 6 masks"]
    data = open_dataset(tmp_path / "1", "test")
    assert data.names == ["test_a.png", "test_b.png", "test_c.png"]
    original = open_dataset(source, "test")[0].label
    np.testing.assert_array_equal(data[0].label == 255, original == 255)
    assert set(np.unique(data[0].label)) == {64, 255}
    own = write.write_own(tmp_path / "own")
    assert convert(own, tmp_path / "2", "list") == ["1 items without a mask", "3 sentences"]
    assert open_dataset(tmp_path / "2", "train").names == ["train_a.png", "train_c.png"]


def test_what_is_not_known_stays_or_is_told(tmp_path):
    write.write_pair(tmp_path / "own", "a.png", np.random.default_rng(0), values=(0, 32, 255))
    assert convert(tmp_path / "own", tmp_path / "mci", "levir-mci") == []
    check_same(tmp_path / "own", tmp_path / "mci")
    assert set(np.unique(open_dataset(tmp_path / "mci", "train")[0].label)) == {32, 64, 255}
    assert convert(tmp_path / "own", tmp_path / "list", "list") == ["that pixels are not known, in 1 masks"]


def test_names_that_would_meet_in_one_folder_are_refused(tmp_path):
    source = write.write_own(tmp_path / "own", None)
    for part in ("A", "B", "label"):
        (source / part / "c.png").rename(source / part / "train_a.png")
    with pytest.raises(DataError, match=r"train_a\.png: train_a\.png would occur twice in one folder"):
        convert(source, tmp_path / "out", "list")
    assert not (tmp_path / "out").exists()


def test_nothing_half_written_stays(tmp_path):
    source = write.write_own(tmp_path / "source")
    (source / "A" / "c.png").write_bytes(b"x")
    with pytest.raises(DataError, match=r"A/c\.png: not an image"):
        convert(source, tmp_path / "out", "levir-mci")
    assert [path.name for path in tmp_path.iterdir()] == ["source"]
    with pytest.raises(OutputError, match="source: exists and is not an empty directory"):
        convert(source, source, "list")
