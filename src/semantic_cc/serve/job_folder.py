"""The files of one job: its uploads while it is unfinished, its results, and the images of the page."""

from __future__ import annotations

import contextlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from semantic_cc.files import write_files


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
        """The images that the page's viewer shows."""
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

    def without_paths(self, text: str) -> str:
        """`text` with the names of files in place of their paths in this folder."""
        for role in ("before", "after", "out", "view"):
            text = text.replace(f"{self.root / role}{os.sep}", "")
        return text

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
            renamed = self.without_paths(text)
            if renamed != text:
                write_files(self.out, {name: renamed.encode()})

    def bytes(self) -> int:
        """Size of all files."""
        total = 0
        for parent, _, names in os.walk(self.root):
            for name in names:
                with contextlib.suppress(FileNotFoundError):  # another thread has removed it
                    total += os.lstat(os.path.join(parent, name)).st_size
        return total

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
