"""Entry point: parses the arguments, runs one command, converts the outcome to an exit code.

0 done; 1 the work failed; 2 the user's input is wrong; 130 interrupted; 141 stdout was closed.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import warnings
from collections.abc import Sequence
from typing import NoReturn

from semantic_cc import __version__
from semantic_cc.cli import (
    batch,
    bench,
    data,
    demo,
    describe,
    evaluate,
    reproduce,
    score,
    serve,
    synth,
    train,
    weights,
)
from semantic_cc.errors import InputError, SemanticCCError

COMMANDS = (describe, batch, serve, demo, synth, data, train, evaluate, score, bench, reproduce, weights)
"""Modules with NAME, HELP, `add_arguments(parser)` and `run(arguments) -> None`."""

MOVED = {
    "pretrain": "train --phase encoder",
    "align": "train --phase qformer, then --phase llm",
    "sharpen": "train --phase mask_decoder",
    "guide": "train --phase keyword_head",
    "calibrate": "train --phase calibration",
    "plan": "train --plan",
    "publish": "weights publish",
}
"""Commands of earlier versions -> their replacement."""


class _Parser(argparse.ArgumentParser):
    """Reports a wrong command line as one line in `main`, like other wrong input."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message} (see '{self.prog} --help')")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line `argv` (by default this process's) and returns its exit code."""
    try:
        with warnings.catch_warnings():
            _quiet_libraries()
            # Must be set before torch is loaded: busy-waiting threads make the run six times slower if another
            # program uses the core.
            os.environ.setdefault("OMP_WAIT_POLICY", "passive")
            _run(argv)
            sys.stdout.flush()
    except InputError as error:
        return _report(error, 2)
    except SemanticCCError as error:
        return _report(error, 1)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The interpreter flushes stdout again at exit; discard that output.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    return 0


def _run(argv: Sequence[str] | None) -> None:
    words = sys.argv[1:] if argv is None else list(argv)
    if words and words[0] in MOVED:
        raise InputError(f"the command {words[0]} is now: semantic-cc {MOVED[words[0]]}")
    arguments, rest = _parser().parse_known_args(words)
    if rest and arguments.command not in (reproduce, train):
        raise InputError(
            f"unrecognized arguments: {' '.join(rest)} (see 'semantic-cc {arguments.command.NAME} --help')"
        )
    arguments.config_flags = rest
    arguments.command.run(arguments)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="semantic-cc",
        description="Describe what changed between two images of one place, in a sentence and a change mask.",
        epilog="exit codes: 0 done; 1 the work failed; 2 the input is wrong; 130 interrupted",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"semantic-cc {__version__}")
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in COMMANDS:
        sub = subparsers.add_parser(
            command.NAME,
            help=command.HELP,
            description=command.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        sub.set_defaults(command=command)
        command.add_arguments(sub)
    return parser


def _quiet_libraries() -> None:
    """Hides the warnings and progress bars of libraries, unless the user enables them."""
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TQDM_DISABLE", "1")


def _report(error: SemanticCCError, code: int) -> int:
    print(f"semantic-cc: error: {' '.join(str(error).split())}", file=sys.stderr)
    return code
