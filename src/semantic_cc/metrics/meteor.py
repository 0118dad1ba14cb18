"""METEOR 1.5, the Java program that pycocoevalcap ships: one process for all sentences, always closed.

The protocol of its ``-stdio`` mode: a line ``SCORE ||| reference ||| ... ||| hypothesis`` is answered by one line of
counts; a line ``EVAL ||| counts ||| ...`` by the score of each and, last, of all together.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import threading
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType

from semantic_cc.errors import ScoringError

NOT_RUN = "not run: needs Java 8+"
"""What a report says where METEOR is missing."""

START_SECONDS, PAIR_SECONDS = 120.0, 0.2
"""The longest that Java may take: to load its tables, and for each sentence; ten times what a slow machine needs."""

_PAIR = tuple[str, tuple[str, ...]]


def find_java() -> str | None:
    """A Java of version 8 or newer: that of `JAVA_HOME`, else the one on the path; None where there is none."""
    home = os.environ.get("JAVA_HOME")
    places = [str(Path(home, "bin", "java"))] if home else []
    return next((java for name in [*places, "java"] if (java := shutil.which(name)) and _is_new(java)), None)


def _is_new(java: str) -> bool:
    try:
        done = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=START_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return False
    version = re.search(r'version "(?:1\.)?(\d+)', done.stderr)  # 1.8.0_391 is Java 8
    return done.returncode == 0 and version is not None and int(version[1]) >= 8


class Meteor:
    """METEOR's process. Use it in a `with` block, which ends the process however the block ends.

    Loading takes Java some seconds; it begins at once and is waited for when the first score is asked for. Should
    this process die, Java sees its input end and leaves too.

    Args:
        java: path of the Java program, from `find_java`.
    """

    def __init__(self, java: str) -> None:
        self._java = java
        self._counts: dict[_PAIR, str] = {}

    def __enter__(self) -> Meteor:
        self._stderr = tempfile.TemporaryFile()
        # One gigabyte is enough, and with this collector Java takes no more than it uses.
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
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()  # closes the pipes and waits
        self._stderr.close()

    def compute_score(
        self, truth: dict[str, list[str]], given: dict[str, list[str]]
    ) -> tuple[float, list[float]]:
        """METEOR of a set and of each of its images, in [0, 1]; arguments and result as pycocoevalcap's.

        The score of the set is not the mean of the others: it comes from the summed counts.

        Raises:
            ScoringError: Java ended, or took longer than it may.
        """
        late = threading.Event()

        def stop() -> None:
            late.set()
            self._process.kill()

        seconds = START_SECONDS + PAIR_SECONDS * len(truth)
        timer = threading.Timer(seconds, stop)
        timer.daemon = True
        timer.start()
        try:
            counts = [self._counts_of(given[name][0], tuple(truth[name])) for name in truth]
            self._tell(" ||| ".join(["EVAL", *counts]))
            scores = [float(self._hear()) for _ in counts]
            return float(self._hear()), scores
        except (OSError, ValueError) as error:  # a broken pipe, or half a line
            if late.is_set():
                raise ScoringError(f"METEOR: Java gave no answer within {seconds:.0f} s; run it again, or without METEOR") from error
            raise ScoringError(f"METEOR: {self._last_words()}; run it again, or without METEOR") from error
        finally:
            timer.cancel()

    def _counts_of(self, sentence: str, references: tuple[str, ...]) -> str:
        pair = (sentence, references)
        if pair not in self._counts:
            self._tell(" ||| ".join(["SCORE", *map(_clean, references), _clean(sentence)]))
            self._counts[pair] = self._hear()
        return self._counts[pair]

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())
        self._process.stdin.flush()

    def _hear(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.endswith(b"\n"):
            raise BrokenPipeError
        return line.decode().strip()

    def _last_words(self) -> str:
        """How Java ended, and the last line it complained with."""
        try:
            code = f"ended with code {self._process.wait(timeout=5)}"
        except subprocess.TimeoutExpired:
            code = "gave no score"
        self._stderr.seek(0)
        lines = self._stderr.read().decode(errors="replace").split("\n")
        complaint = next((line.strip() for line in reversed(lines) if line.strip()), "")
        return f"Java {code}" + (f" ({complaint[:200]})" if complaint else "")


def _clean(sentence: str) -> str:
    """The sentence without what separates fields; two blanks become one, as in pycocoevalcap."""
    return sentence.replace("|||", "").replace("  ", " ")


def _folder() -> Path:
    """Where pycocoevalcap keeps the program and its tables."""
    spec = find_spec("pycocoevalcap.meteor.meteor")
    if spec is None or spec.origin is None:
        raise ScoringError("METEOR: pycocoevalcap has no METEOR; install it again")
    return Path(spec.origin).parent
