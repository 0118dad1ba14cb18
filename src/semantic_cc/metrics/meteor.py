"""METEOR 1.5, the Java program in pycocoevalcap, as one process for all sentences.

Protocol of its ``-stdio`` mode: a line ``SCORE ||| reference ||| ... ||| hypothesis`` returns one line of counts.
A line ``EVAL ||| counts ||| ...`` returns the score of each and, last, the joint score.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType

from semantic_cc.errors import ScoringError

NOT_RUN = "not run: needs Java 8+"
"""Text in a report without METEOR."""

START_SECONDS, PAIR_SECONDS = 120.0, 0.2
"""Timeouts in seconds for loading and per sentence: many times what a slow machine needs."""

_PAIR = tuple[str, tuple[str, ...]]


def find_java() -> str | None:
    """Path of a Java of version 8 or newer, from `JAVA_HOME` or else the PATH; None if there is none."""
    home = os.environ.get("JAVA_HOME")
    places = [str(Path(home, "bin", "java"))] if home else []
    return next((java for name in [*places, "java"] if (java := shutil.which(name)) and _is_new(java)), None)


def _is_new(java: str) -> bool:
    try:
        done = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return False
    version = re.search(r'version "(?:1\.)?(\d+)', done.stderr)  # 1.8.0_391 is Java 8
    return done.returncode == 0 and version is not None and int(version[1]) >= 8


class Meteor:
    """METEOR's process; use it in a `with` block, which always ends the process.

    Loading takes some seconds. It starts immediately, and the first score waits for it. If Python is killed, Java
    exits at the end of its input, after loading.

    Args:
        java: path of the Java program, from `find_java`.
    """

    def __init__(self, java: str) -> None:
        self._java = java
        self._counts: dict[_PAIR, str] = {}

    def __enter__(self) -> Meteor:
        self._stderr = tempfile.TemporaryFile()
        # One gigabyte is enough; with this collector Java takes only what it uses.
        options = ["-Xmx1G", "-XX:+UseSerialGC", "-jar", "meteor-1.5.jar"]
        try:
            self._process = subprocess.Popen(
                [self._java, *options, "-", "-", "-stdio", "-l", "en", "-norm"],
                cwd=_folder(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
            )
        except OSError as error:
            self._stderr.close()
            raise ScoringError(f"METEOR: {self._java} cannot be started ({error.strerror})") from error
        assert self._process.stdin is not None and self._process.stdout is not None  # both are pipes
        self._stdin, self._stdout = self._process.stdin, self._process.stdout
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        for pipe in (self._stdin, self._stdout, self._stderr):
            with suppress(OSError):  # unsent data is lost
                pipe.close()
        self._process.wait()

    def counts(self, truth: dict[str, list[str]], given: dict[str, list[str]]) -> list[list[int]]:
        """METEOR's counts of each image, in the order of `truth`; arguments as in pycocoevalcap.

        The score of a set comes from the summed counts (`of_counts`), not from the images' scores.

        Raises:
            ScoringError: Java ended or timed out.
        """
        with self._watched(len(truth)):
            return [_summable(line) for line in self._lines(truth, given)]

    def of_counts(self, sums: Sequence[Sequence[int]]) -> list[float]:
        """METEOR in [0, 1] of each set, from its summed counts.

        Raises:
            ScoringError: as in `counts`.
        """
        lines = [" ".join(str(int(count)) for count in row) for row in sums]
        with self._watched(len(lines)):
            self._tell(" ||| ".join(["EVAL", *lines]))
            scores = [float(self._hear()) for _ in lines]
            self._hear()  # the joint score
            return scores

    def _lines(self, truth: dict[str, list[str]], given: dict[str, list[str]]) -> list[str]:
        """Java's line of counts for each image; repeated pairs are cached."""
        lines = []
        for name, references in truth.items():
            pair = (given[name][0], tuple(references))
            if pair not in self._counts:
                self._tell(" ||| ".join(["SCORE", *map(_clean, references), _clean(pair[0])]))
                self._counts[pair] = self._hear()
            lines.append(self._counts[pair])
        return lines

    @contextmanager
    def _watched(self, count: int) -> Iterator[None]:
        """Kills Java on timeout, and raises errors with one-line messages."""
        late = threading.Event()

        def stop() -> None:
            late.set()
            self._process.kill()

        seconds = START_SECONDS + PAIR_SECONDS * count
        timer = threading.Timer(seconds, stop)
        timer.daemon = True
        timer.start()
        try:
            yield
        except (OSError, ValueError) as error:  # a broken pipe, or not a number
            what = f"Java gave no answer within {seconds:.0f} s" if late.is_set() else self._last_words()
            raise ScoringError(f"METEOR: {what}; run it again, or leave METEOR out") from error
        finally:
            timer.cancel()

    def _tell(self, line: str) -> None:
        self._stdin.write(f"{line}\n".encode())
        self._stdin.flush()

    def _hear(self) -> str:
        line = self._stdout.readline()
        if not line.endswith(b"\n"):
            raise BrokenPipeError
        return line.decode().strip()

    def _last_words(self) -> str:
        """Java's exit status and its last line on stderr."""
        try:
            code = f"ended with code {self._process.wait(timeout=1)}"
        except subprocess.TimeoutExpired:
            code = "gave no score"
        self._stderr.seek(0)
        lines = self._stderr.read().decode(errors="replace").split("\n")
        complaint = next((line.strip() for line in reversed(lines) if line.strip()), "")
        return f"Java {code}" + (f" ({complaint[:200]})" if complaint else "")


def _summable(line: str) -> list[int]:
    """Summable counts: sets the chunks to zero if all words match in one chunk.

    METEOR does the same in its sums: a perfect match has no fragmentation.
    """
    counts = [int(float(count)) for count in line.split()]
    words, reference_words = counts[:2]
    chunks, matched, reference_matched = counts[-3:]
    if (chunks, matched, reference_matched) == (1, words, reference_words):
        counts[-3] = 0
    return counts


def _clean(sentence: str) -> str:
    """Removes the field separator; two blanks become one, as in pycocoevalcap."""
    return sentence.replace("|||", "").replace("  ", " ")


def _folder() -> Path:
    """pycocoevalcap's folder of the program and its tables."""
    spec = find_spec("pycocoevalcap.meteor.meteor")
    if spec is None or spec.origin is None:
        raise ScoringError("METEOR: pycocoevalcap has no METEOR; install it again")
    return Path(spec.origin).parent
