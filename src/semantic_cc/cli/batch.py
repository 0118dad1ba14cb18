"""Describe all pairs of a manifest, each in its own folder, and collect all changes in one dataset.

MANIFEST is CSV, Parquet or GeoParquet with the columns id, before and after, or a STAC item collection whose items
have the assets before and after. Paths are relative to the manifest (docs/batch.md). If a pair fails, pairs.csv records
the reason, the other pairs continue, and the exit code is 1. A restarted batch continues where it stopped. The scene
options apply to pairs of georeferenced images.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from semantic_cc.cli.console import ModelOptions, add_asked_model, model_options, positive, say, stdout_for_us
from semantic_cc.cli.scene_arguments import add_scene_arguments, given_scene_arguments, scene_options

if TYPE_CHECKING:
    from semantic_cc.batch.batch_run import BatchProgress
    from semantic_cc.batch.manifest import Manifest
    from semantic_cc.predictor import SemanticCC

NAME = "batch"
HELP = "describe all pairs of a manifest"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("manifest", metavar="MANIFEST", help="the pairs: .csv, .parquet, .geoparquet, .json")
    parser.add_argument(
        "--out",
        metavar="DIR",
        required=True,
        help="folder for the results; an unfinished batch in it is continued",
    )
    parser.add_argument(
        "--workers",
        metavar="N",
        type=positive,
        default=1,
        help="pairs processed at once, each with its own model [1]",
    )
    parser.add_argument(
        "--engine", choices=("local", "ray"), default="local",
        help="local = processes on this machine; ray = Ray actors, here or on the cluster at RAY_ADDRESS [local]",
    )  # fmt: skip
    add_asked_model(parser)
    add_scene_arguments(parser)


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    from semantic_cc.errors import SemanticCCError
    from semantic_cc.scene.geo_detection import need_libraries

    need_libraries()

    from semantic_cc.batch.batch_outputs import DATASET, TABLE
    from semantic_cc.batch.batch_run import SUMMARY, run_batch
    from semantic_cc.batch.manifest import read_manifest
    from semantic_cc.batch.pair_worker import BatchSettings
    from semantic_cc.files import check_outputs

    out = check_outputs(arguments.out, (TABLE, SUMMARY), [arguments.manifest])
    settings = BatchSettings(scene_options(arguments), arguments.instruction, arguments.llm_dtype)
    manifest = read_manifest(arguments.manifest)
    _check_options(arguments, manifest)
    if manifest.unread:
        say(f"columns not read: {', '.join(manifest.unread)}")
    load = functools.partial(_load, arguments.model, model_options(arguments))
    with stdout_for_us(), _progress() as progress:
        summary = run_batch(
            manifest.entries, load, settings, out,
            workers=arguments.workers, engine=arguments.engine, progress=progress,
        )  # fmt: skip
    say(f"{summary.done} of {summary.pairs} pairs done; {TABLE} and {DATASET} in {out}")
    if summary.failed:
        raise SemanticCCError(
            f"{summary.failed} of {summary.pairs} pairs failed; {out / TABLE} says why, and the same command "
            "tries them again"
        )


def _check_options(arguments: argparse.Namespace, manifest: Manifest) -> None:
    """Rejects scene options for a manifest without scenes.

    Raises:
        InputError: names the options.
    """
    from semantic_cc.errors import InputError
    from semantic_cc.scene.geo_detection import is_scene

    given = given_scene_arguments(arguments)
    if given and not any(is_scene(entry.before) or is_scene(entry.after) for entry in manifest.entries):
        raise InputError(
            f"{', '.join(given)}: for georeferenced images only, and all pairs of {arguments.manifest} are plain "
            "images; leave it out"
        )


def _load(name: str, options: ModelOptions, device: str | None) -> SemanticCC:
    from semantic_cc.predictor import SemanticCC

    return SemanticCC.from_pretrained(name, device, **options)


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[BatchProgress], None]]:
    """Shows the progress on stderr: a bar on a terminal, otherwise a line every half minute and one at the end.

    Yields:
        A function that takes the progress. It reports failed pairs immediately.
    """
    from semantic_cc.batch.batch_run import BatchProgress
    from semantic_cc.batch.throughput import throughput_line
    from semantic_cc.progress import lines_while_working, progress_of_steps

    state, start = BatchProgress(0, 0), time.monotonic()

    def line() -> str:
        return throughput_line(state, time.monotonic() - start) if state.pairs else "loading the model"

    with contextlib.ExitStack() as held:
        if sys.stderr.isatty():
            advance = held.enter_context(progress_of_steps())
        else:
            advance = None
            held.enter_context(lines_while_working(line))

        def show(progress: BatchProgress) -> None:
            nonlocal state, start
            state = progress
            if progress.last is None:
                start = time.monotonic()
            elif progress.last.reason is not None:
                print(f"failed: {progress.last.id}: {progress.last.reason}", file=sys.stderr)
            done = progress.before + progress.worked
            if advance is not None:
                advance("pairs", done, progress.pairs)
            elif done == progress.pairs:
                print(line(), file=sys.stderr, flush=True)

        yield show
