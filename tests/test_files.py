"""All or nothing on disk."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from processes import forked

from semantic_cc.errors import OutputError
from semantic_cc.files import (
    check_file,
    check_folder,
    check_outputs,
    locked,
    new_files,
    new_folder,
    write_files,
)


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_writes_into_a_new_folder(tmp_path: Path) -> None:
    paths = write_files(tmp_path / "a" / "b", {"one": b"1", "two": b"2"})
    assert [path.read_bytes() for path in paths] == [b"1", b"2"]
    assert names(tmp_path) == {"a", "a/b", "a/b/one", "a/b/two"}


def test_replaces_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"old")
    write_files(tmp_path, {"one": b"new"})
    assert (tmp_path / "one").read_bytes() == b"new"


def test_checking_creates_nothing(tmp_path: Path) -> None:
    check_folder(tmp_path / "x" / "y")
    check_file(tmp_path / "x" / "report.json")
    assert names(tmp_path) == set()


@pytest.mark.parametrize("inside", ["file", "file/deeper", "file/a/b"])
def test_a_file_in_place_of_the_folder(tmp_path: Path, inside: str) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputError, match="file is not a directory"):
        write_files(tmp_path / inside, {"one": b"1"})
    assert names(tmp_path) == {"file"}


def test_a_dangling_link_in_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    with pytest.raises(OutputError, match="link is not a directory"):
        check_folder(tmp_path / "link")


def test_a_folder_without_the_right_to_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)  # chmod does not stop root
    with pytest.raises(OutputError, match="no permission to write"):
        check_folder(tmp_path / "out")


def test_a_directory_in_place_of_a_file_stops_all(tmp_path: Path) -> None:
    (tmp_path / "two").mkdir()
    with pytest.raises(OutputError, match="is a directory"):
        write_files(tmp_path, {"one": b"1", "two": b"2"})
    assert names(tmp_path) == {"two"}


def test_nothing_is_left_when_the_disk_fails_midway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = Path.write_bytes

    def fails_at_two(self: Path, content: bytes) -> int:
        if content == b"2":
            raise OSError(28, "No space left on device")
        return write(self, content)

    monkeypatch.setattr(Path, "write_bytes", fails_at_two)
    with pytest.raises(OutputError, match="No space left"):
        write_files(tmp_path, {"one": b"1", "two": b"2"})
    assert names(tmp_path) == set()


def test_a_new_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    with new_folder(tmp_path / "a" / "out") as work:
        (work / "one").write_text("1")
        assert not (tmp_path / "a" / "out").exists()
    assert names(tmp_path) == {"a", "a/out", "a/out/one"}
    with pytest.raises(KeyError), new_folder(tmp_path / "b") as work:
        (work / "one").write_text({}["nothing"])
    assert names(tmp_path) == {"a", "a/out", "a/out/one"}


def test_a_new_folder_takes_no_full_place_and_tells_a_full_disk(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(OutputError, match="not an empty directory; choose another"), new_folder(tmp_path):
        pass
    with pytest.raises(OutputError, match=r"out: cannot be written \(No space"), new_folder(tmp_path / "out"):
        raise OSError(28, "No space left on device")
    assert names(tmp_path) == {"mine.txt"}


def test_new_files_join_what_is_there_or_none_does(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("stays")
    (tmp_path / "one").write_text("goes")
    with new_files(tmp_path) as work:
        (work / "one").write_text("1")
        (work / "two").write_text("2")
        assert (tmp_path / "one").read_text() == "goes"
    assert {name: (tmp_path / name).read_text() for name in names(tmp_path)} == {
        "old": "stays", "one": "1", "two": "2",
    }  # fmt: skip
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match="folder: it is a directory"):
        fill(tmp_path, "a", "folder", "one")
    assert (tmp_path / "one").read_text() == "1" and not (tmp_path / "a").exists()
    with pytest.raises(ValueError, match="null"):
        fill(tmp_path, "b", "null\0")
    assert names(tmp_path) == {"old", "one", "two", "folder"}


def fill(folder: Path, *files: str) -> None:
    with new_files(folder) as work:
        for name in files:
            (work / name).write_text("new")


def test_new_files_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputError, match="file is not a directory"), new_files(tmp_path / "file"):
        pass
    with pytest.raises(OutputError, match="disk is full"), new_files(tmp_path / "new"):
        raise OSError(28, "disk is full")
    assert names(tmp_path) == {"file", "new"}


def test_a_lock_ends_with_its_process_and_keeps_what_that_wrote(tmp_path: Path) -> None:
    path = tmp_path / "new" / "lock"

    def hold() -> None:
        with locked(path) as file:
            file.write("mark")
            file.flush()
            time.sleep(60)

    holder = forked(hold)
    while not (path.exists() and path.read_text()):
        time.sleep(0.01)
    with pytest.raises(OutputError, match="another run is writing there"), locked(path, wait=False):
        pass
    holder.kill()
    with locked(path) as file:
        file.seek(0)
        assert file.read() == "mark"
    assert names(tmp_path) == {"new"}


def test_a_lock_is_held_by_one_at_a_time(tmp_path: Path) -> None:
    count = tmp_path / "count"
    count.write_text("0")

    def add() -> None:
        for _ in range(25):
            with locked(tmp_path / "lock"):
                count.write_text(str(int(count.read_text()) + 1))

    processes = [forked(add) for _ in range(4)]
    for process in processes:
        process.join()
    assert count.read_text() == "100"


@pytest.mark.parametrize("link", [Path.hardlink_to, Path.symlink_to])
def test_outputs_are_not_inputs_whatever_they_are_called(link: Callable, tmp_path: Path) -> None:
    image = tmp_path / "image.tif"
    image.write_text("pixels")
    link(tmp_path / "mask.tif", image)
    (tmp_path / "other.tif").write_text("pixels")
    assert check_outputs(tmp_path, ["report.json", "other.tif"], [image, tmp_path / "absent"]) == tmp_path
    with pytest.raises(OutputError, match=r"image\.tif: the output .*mask\.tif would overwrite this input"):
        check_outputs(tmp_path, ["report.json", "mask.tif"], [image])
    (tmp_path / "report.html").mkdir()
    with pytest.raises(OutputError, match=r"report\.html: it is a directory"):
        check_outputs(tmp_path, ["report.html"], [])
