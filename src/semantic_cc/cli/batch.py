"""Describe an archive: every pair of a manifest, each into its own folder, and all changes in one dataset.

MANIFEST is CSV, Parquet or GeoParquet with the columns id, before, after, or a STAC item collection whose items have
the assets before and after; paths are relative to it (docs/batch.md). A pair that fails is recorded with its reason in
pairs.csv and does not stop the others; the exit code is then 1. Started again, a batch goes on where it was.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from semantic_cc.cli.console import add_asked_model, model_options, positive, say, stdout_for_us
from semantic_cc.cli.scene_options import add_scene_arguments, asks_for_scenes, scene_options, scene_tiling

if TYPE_CHECKING:
    from semantic_cc.batch.batch_run import Progress
    from semantic_cc.predictor import SemanticCC

NAME = "batch"
HELP = "describe all pairs of a manifest"

PLAIN_EVERY = 10.0
"""Seconds between plain lines of progress."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument(
        "manifest", metavar="MANIFEST", help="which pairs: .csv, .parquet, .geoparquet, .json"
    )
    parser.add_argument(
        "--out", metavar="DIR", required=True, help="folder of the results; one that is there goes on"
    )
    parser.add_argument(
        "--workers", metavar="N", type=positive, default=1, help="pairs at once, each with its own model [1]"
    )
    parser.add_argument(
        "--engine", choices=("local", "ray"), default="local",
        help="processes of this machine, or Ray's actors, here or on the cluster at RAY_ADDRESS [local]",
    )  # fmt: skip
    add_asked_model(parser)
    add_scene_arguments(parser)


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    from semantic_cc.errors import SemanticCCError
    from semantic_cc.files import check_folder
    from semantic_cc.scene.geo_detection import need_libraries

    need_libraries()
    out = check_folder(arguments.out)

    from semantic_cc.batch.batch_outputs import DATASET, TABLE
    from semantic_cc.batch.batch_run import run_batch
    from semantic_cc.batch.manifest import read_manifest
    from semantic_cc.batch.pair_worker import Settings

    settings = Settings(
        options=scene_options(arguments),
        tiling=scene_tiling(arguments),
        batch=arguments.batch,
        all_scenes=asks_for_scenes(arguments),
        instruction=arguments.instruction,
        formats=tuple(arguments.formats),
        regularise=arguments.regularise,
        llm_dtype=arguments.llm_dtype,
    )
    manifest = read_manifest(arguments.manifest)
    if manifest.unread:
        say(f"columns not read: {', '.join(manifest.unread)}")
    load = functools.partial(_load, arguments.model, model_options(arguments))
    with stdout_for_us(), _progress() as progress:
        summary = run_batch(
            manifest.entries, load, settings, out,
            workers=arguments.workers, engine=arguments.engine, progress=progress,
        )  # fmt: skip
    say(f"{summary['done']} of {summary['pairs']} pairs done; {TABLE} and {DATASET} in {out}")
    if summary["failed"]:
        raise SemanticCCError(
            f"{summary['failed']} of {summary['pairs']} pairs failed; {out / TABLE} says why, and the same command "
            "tries them again"
        )


def _load(name: str, options: dict[str, object], device: str | None) -> SemanticCC:
    from semantic_cc.predictor import SemanticCC

    return SemanticCC.from_pretrained(name, device, **options)  # type: ignore[arg-type]


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[Progress], None]]:
    """What to call with the progress: a bar on stderr in a terminal, a plain line every so often elsewhere.

    Pairs that fail are told at once.
    """
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bar

    from semantic_cc.batch.throughput import pace_line

    console = Console(stderr=True)
    with Bar(
        BarColumn(), TextColumn("{task.description}"), console=console, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("loading the model", total=None)
        start = said = time.monotonic()

        def show(progress: Progress) -> None:
            nonlocal start, said
            now = time.monotonic()
            if progress.last is None:
                start = now
            elif progress.last.reason is not None:
                print(f"failed: {progress.last.id}: {progress.last.reason}", file=sys.stderr)
            line, done = pace_line(progress, now - start), progress.before + progress.worked
            if console.is_terminal:
                bar.update(task, completed=done, total=progress.pairs, description=line)
            elif now - said >= PLAIN_EVERY or done == progress.pairs:
                print(line, file=sys.stderr, flush=True)
                said = now

        yield show
