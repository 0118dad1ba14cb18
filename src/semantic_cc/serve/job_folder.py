"""The files of one job: its uploads while it is unfinished, its results, and what the page's viewer shows."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from semantic_cc.files import write_files
from semantic_cc.serve.uploads import renamer


@dataclass(frozen=True)
class JobFolder:
    """Where the files of a job lie.

    Attributes:
        root: the job's folder.
    """

    root: Path

    @property
    def out(self) -> Path:
        """The results, as the command writes them."""
        return self.root / "out"

    @property
    def view(self) -> Path:
        """What the viewer shows: the two images, and the places."""
        return self.root / "view"

    @property
    def before(self) -> Path:
        """The earlier upload."""
        return self._upload("before")

    @property
    def after(self) -> Path:
        """The later upload."""
        return self._upload("after")

    @property
    def has_results(self) -> bool:
        """Whether all results are written."""
        return (self.out / "report.json").is_file() and not (self.out / ".scan").exists()

    @property
    def rename(self) -> Callable[[str], str]:
        """A function that takes the folder's path out of a message."""
        return renamer({f"{self.root / role}{os.sep}": "" for role in ("before", "after", "out", "view")})

    def names(self) -> list[str]:
        """Names of the result files."""
        if not self.out.is_dir():
            return []
        return sorted(path.name for path in self.out.iterdir() if path.is_file())

    def file(self, name: str) -> Path | None:
        """The result file of this name; None if there is none."""
        return self.out / name if name in self.names() else None

    def use_clients_names(self) -> None:
        """Takes the folder's path out of the reports, so that they call the images as the client does."""
        for name in ("report.json", "report.html", "scene.json"):
            text = (self.out / name).read_text(encoding="utf-8")
            renamed = self.rename(text)
            if renamed != text:
                write_files(self.out, {name: renamed.encode()})

    def bytes(self) -> int:
        """Size of all files."""
        return size_of(self.root)

    def drop_uploads(self) -> None:
        """Removes the uploads."""
        for role in ("before", "after"):
            shutil.rmtree(self.root / role, ignore_errors=True)

    def drop_results(self) -> None:
        """Removes results, whole or not."""
        for folder in (self.out, self.view):
            shutil.rmtree(folder, ignore_errors=True)

    def remove(self) -> None:
        """Removes everything."""
        shutil.rmtree(self.root, ignore_errors=True)

    def _upload(self, role: str) -> Path:
        (path,) = (self.root / role).iterdir()
        return path


def size_of(*folders: Path) -> int:
    """Bytes of all files in some folders."""
    return sum(_sizes(folders))


def _sizes(folders: Iterable[Path]) -> Iterable[int]:
    for folder in folders:
        for parent, _, names in os.walk(folder):
            for name in names:
                try:
                    yield os.lstat(os.path.join(parent, name)).st_size
                except FileNotFoundError:  # removed meanwhile
                    continue
