"""Writing files so that nothing is ever half-written, and asking beforehand whether they can be written."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from semantic_cc.errors import OutputError


def check_folder(folder: str | Path) -> Path:
    """Checks that files can be written to `folder`, which need not exist yet; creates nothing.

    Raises:
        OutputError: it, or the nearest folder above it that exists, is no directory or may not be written.
    """
    folder = Path(folder)
    place = folder
    while not os.path.lexists(place) and place != place.parent:
        place = place.parent
    if not place.is_dir():
        raise OutputError(f"cannot write to {folder}: {place} is not a directory; choose another place")
    if not os.access(place, os.W_OK | os.X_OK):
        raise OutputError(f"cannot write to {folder}: no right to write in {place}; choose another place")
    return folder


def check_file(path: str | Path) -> Path:
    """Checks that the file `path` can be written; creates nothing.

    Raises:
        OutputError: it is a directory, or its folder fails `check_folder`.
    """
    path = Path(path)
    if path.is_dir():
        raise OutputError(f"cannot write {path}: it is a directory; name a file")
    check_folder(path.parent)
    return path


def check_outputs(folder: str | Path, names: Iterable[str], inputs: Iterable[str | Path]) -> Path:
    """Checks that files can be written to `folder` under `names` without replacing one of `inputs`.

    Returns:
        The folder.

    Raises:
        OutputError: as `check_folder` and `check_not_inputs`.
    """
    folder = check_folder(folder)
    check_not_inputs((folder / name for name in names), identities(inputs))
    return folder


def identities(paths: Iterable[str | Path]) -> dict[tuple[int, int], str | Path]:
    """Device and inode -> path, of the files that exist."""
    return {found: path for path in paths if (found := _identity(path)) is not None}


def check_not_inputs(outputs: Iterable[Path], inputs: Mapping[tuple[int, int], str | Path]) -> None:
    """Checks that no output is an input; by identity, so links and other spellings of a path are found.

    Args:
        outputs: paths that will be written or removed, whether they exist or not.
        inputs: the `identities` of the files that must stay.

    Raises:
        OutputError: an output is an input.
    """
    for path in outputs if inputs else ():
        given = inputs.get(_identity(path) or (-1, -1))
        if given is not None:
            raise OutputError(f"{given}: the output {path} would overwrite this input; choose another --out")


def _identity(path: str | Path) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except (OSError, ValueError):  # it does not exist, or its name holds NUL
        return None
    return found.st_dev, found.st_ino


@contextmanager
def new_folder(out: str | Path) -> Iterator[Path]:
    """A folder to fill, which becomes the new or empty directory `out` when the block ends well, and else nothing.

    Raises:
        OutputError: `out` is not empty, or something cannot be written, inside the block too.
    """
    out = Path(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise OutputError(f"{out}: exists and is not an empty directory; choose another place or empty it")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    except OSError as error:
        raise OutputError(f"{out}: cannot be written ({error.strerror}); choose another place") from error
    try:
        yield work
        work.chmod(0o777 & ~_umask())  # mkdtemp makes a private directory, this is to be an ordinary one
        work.replace(out)
    except OSError as error:
        if isinstance(error, OutputError):
            raise
        raise OutputError(
            f"{out}: cannot be written ({error.strerror}); free space or choose another place"
        ) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


@contextmanager
def new_file(out: str | Path) -> Iterator[Path]:
    """A path to write to, which becomes the file `out` when the block ends well, and else nothing.

    Raises:
        OutputError: it cannot be written; one of the block's own passes as it is.
    """
    out = check_file(out)
    work = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        yield work
        work.chmod(0o666 & ~_umask())  # some writers make a private file, this is to be an ordinary one
        work.replace(out)
    except OSError as error:
        if isinstance(error, OutputError):
            raise
        raise OutputError(
            f"{out}: cannot be written ({error.strerror or error}); free space or choose another place"
        ) from error
    finally:
        work.unlink(missing_ok=True)


@contextmanager
def new_files(out: str | Path) -> Iterator[Path]:
    """A folder to fill, whose files go into the directory `out` when the block ends well, and else none of them.

    `out` is made if need be; what else is in it stays.

    Raises:
        OutputError: `out`, or a file of that name in it, cannot be written; something inside the block cannot.
    """
    out = check_folder(out)
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".new-", dir=out) as work:
            yield Path(work)
            parts = sorted(Path(work).iterdir())
            for part in parts:
                check_file(out / part.name)
                part.chmod(0o666 & ~_umask())
            for part in parts:
                part.replace(out / part.name)
    except OSError as error:
        if isinstance(error, OutputError):
            raise
        raise OutputError(
            f"cannot write to {out}: {error.strerror or error}; free space or choose another place"
        ) from error


def write_files(folder: str | Path, files: Mapping[str, bytes]) -> list[Path]:
    """Writes `files` (name -> content), all or none: under temporary names first, then renamed.

    Returns:
        The paths, in the order of `files`.

    Raises:
        OutputError: something cannot be written; no temporary file is left behind.
    """
    folder = check_folder(folder)
    paths = [check_file(folder / name) for name in files]
    temporary = [path.with_name(f".{path.name}.{os.getpid()}.tmp") for path in paths]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for part, content in zip(temporary, files.values(), strict=True):
            part.write_bytes(content)
        for part, path in zip(temporary, paths, strict=True):
            part.replace(path)
    except OSError as error:
        raise OutputError(
            f"cannot write to {folder}: {error.strerror or error}; choose another place"
        ) from error
    finally:
        for part in temporary:
            part.unlink(missing_ok=True)
    return paths


@contextmanager
def locked(path: str | Path, wait: bool = True) -> Iterator[IO[str]]:
    """Holds a lock, the file `path`, which is gone afterwards; the system lets go of it when the process dies.

    Yields the file, open for reading and appending: what is written stays for the next one where the process dies.

    Args:
        path: of a file that is for nothing else; its folder is made if need be.
        wait: for whoever holds it.

    Raises:
        OutputError: `wait` is off and another process holds it; it cannot be made.
    """
    import fcntl

    path = check_file(path)
    how = fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB)
    with contextlib.ExitStack() as held:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = held.enter_context(path.open("a+"))
            fcntl.flock(file, how)
            while not _is_at(file, path):  # whoever held it has taken it away meanwhile
                file = held.enter_context(path.open("a+"))
                fcntl.flock(file, how)
        except BlockingIOError as error:
            raise OutputError(f"{path.parent}: another run is writing there; wait for its end") from error
        except OSError as error:
            raise OutputError(f"{path}: cannot be locked ({error.strerror}); choose another place") from error
        try:
            yield file
        finally:
            path.unlink(missing_ok=True)


def _is_at(file: IO[str], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
