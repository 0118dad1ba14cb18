"""Atomic writing of files, and checks before writing."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from semantic_cc.errors import OutputError


def digest_of(files: list[Path]) -> str:
    """sha256 of one file, or of the digests of several files in the given order."""
    digests = []
    for path in files:
        with path.open("rb") as stream:
            digests.append(hashlib.file_digest(stream, "sha256").hexdigest())
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()


def check_folder(folder: str | Path) -> Path:
    """Checks that files can be written to `folder`, which need not exist yet; creates nothing.

    Raises:
        OutputError: it, or its nearest existing parent, is not a writable directory.
    """
    folder = Path(folder)
    place = folder
    while not os.path.lexists(place) and place != place.parent:
        place = place.parent
    if not place.is_dir():
        raise OutputError(f"cannot write to {folder}: {place} is not a directory; choose another place")
    if not os.access(place, os.W_OK | os.X_OK):
        raise OutputError(
            f"cannot write to {folder}: no permission to write in {place}; choose another place"
        )
    return folder


def check_file(path: str | Path) -> Path:
    """Checks that the file `path` can be written; creates nothing.

    Raises:
        OutputError: it is a directory, or its folder fails `check_folder`.
    """
    path = Path(path)
    if os.path.isdir(path):  # False where its folder has no permission, which the next check says
        raise OutputError(f"cannot write {path}: it is a directory; name a file")
    check_folder(path.parent)
    return path


def check_outputs(folder: str | Path, names: Iterable[str], inputs: Iterable[str | Path]) -> Path:
    """Checks that files can be written to `folder` under `names` without replacing one of `inputs`.

    Returns:
        The folder.

    Raises:
        OutputError: as `check_file` and `check_not_inputs`.
    """
    folder = check_folder(folder)
    outputs = [folder / name for name in names]
    for path in outputs:
        check_file(path)
    check_not_inputs(outputs, identities(inputs))
    return folder


def identities(paths: Iterable[str | Path]) -> dict[tuple[int, int], str | Path]:
    """(device, inode) -> path of the existing files."""
    return {found: path for path in paths if (found := _identity(path)) is not None}


def check_not_inputs(outputs: Iterable[Path], inputs: Mapping[tuple[int, int], str | Path]) -> None:
    """Checks that no output is an input, by device and inode, which detects links and equivalent paths.

    Args:
        outputs: paths to write or remove; they need not exist.
        inputs: `identities` of the input files.

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
    except (OSError, ValueError):  # it does not exist, or its name contains NUL
        return None
    return found.st_dev, found.st_ino


@contextmanager
def new_folder(out: str | Path) -> Iterator[Path]:
    """Yields a temporary folder that becomes the new or empty directory `out` if the block succeeds.

    Raises:
        OutputError: `out` is not empty, or a file cannot be written, also inside the block.
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
        work.chmod(0o777 & ~_umask())  # mkdtemp creates a private directory; restore default permissions
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
    """Yields a temporary path that becomes the file `out` if the block succeeds.

    Raises:
        OutputError: the file cannot be written; an OutputError of the block is not changed.
    """
    out = check_file(out)
    work = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        yield work
        work.chmod(0o666 & ~_umask())  # some writers create a private file; restore default permissions
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
    """Yields a temporary folder whose files are moved to the directory `out` if the block succeeds.

    Creates `out` if needed; other files in it are kept.

    Raises:
        OutputError: `out` or one of the files cannot be written, also inside the block.
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
    """Writes `files` (name -> content) under temporary names, then renames them: all or none.

    Returns:
        The paths, in the order of `files`.

    Raises:
        OutputError: a file cannot be written; no temporary file remains.
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
    """Holds a lock on the file `path`, and removes the file afterwards. The lock ends with the process.

    Yields the file, open for reading and appending; its content remains if the process dies.

    Args:
        path: lock file; its folder is created if needed.
        wait: whether to wait for the lock.

    Raises:
        OutputError: another process holds the lock and `wait` is off; the file cannot be created.
    """
    import fcntl

    path = check_file(path)
    how = fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB)
    with contextlib.ExitStack() as held:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = held.enter_context(path.open("a+"))
            fcntl.flock(file, how)
            while not _is_at(file, path):  # the previous holder has removed it
                file = held.enter_context(path.open("a+"))
                fcntl.flock(file, how)
        except BlockingIOError as error:
            raise OutputError(f"{path.parent}: another run is writing there; wait until it ends") from error
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
