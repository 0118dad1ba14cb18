"""Describe what changed between two images of one place, and where.

Plain images are 8-bit images of equal size (PNG, JPEG, TIFF, BMP, WebP, GIF). The command writes mask.png,
probability.png, overlay.png, heatmap.png and report.json to the --out folder.

Scenes are georeferenced images (GeoTIFF, VRT, JPEG 2000, PNG with a world file, a URL) of any size, bands, bit depth
and coordinate reference system. Images with more than 8 bits or with transparent pixels are scenes too. The command
writes mask.tif, probability.tif, changes.* (polygons), report.html, report.json and scene.json (a STAC item) to the
--out folder. A restarted run continues where the earlier one stopped.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from semantic_cc.cli.console import (
    add_asked_model,
    change_line,
    load_asked_model,
    say,
    stdout_for_us,
)
from semantic_cc.cli.scene_arguments import add_scene_arguments, given_scene_arguments, scene_options

if TYPE_CHECKING:
    from semantic_cc.types import Json

NAME = "describe"
HELP = "describe what changed between two images, and where"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("before", metavar="BEFORE", help="the earlier image")
    parser.add_argument("after", metavar="AFTER", help="the later image, of the same place")
    parser.add_argument("--out", metavar="DIR", help="folder for the mask, pictures and report")
    parser.add_argument(
        "--json",
        action="store_true",
        help="print the report (the input, with --show-input) as one JSON object and nothing else",
    )
    parser.add_argument(
        "--show-input", action="store_true",
        help="print how the images are read (bands, levels, share of unknown area, grid), and stop",
    )  # fmt: skip
    parser.add_argument(
        "--server", metavar="URL",
        help="let a running 'semantic-cc serve' do the work; if it needs a token, set the variable SEMANTIC_CC_TOKEN",
    )  # fmt: skip
    add_asked_model(parser)
    add_scene_arguments(parser)
    parser.add_argument(
        "--dates", metavar=("BEFORE", "AFTER"), nargs=2,
        help="when the images of a scene were taken, in ISO 8601, such as 2019-05-31 2024-06-02",
    )  # fmt: skip


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    from semantic_cc.errors import InputError
    from semantic_cc.scene.geo_detection import is_scene

    if arguments.server is not None:
        from semantic_cc.cli.served_describe import describe_on_service

        describe_on_service(arguments)
        return
    if arguments.show_input:
        given = [
            f"--{name}" for name in ("out", "instruction", "dates") if getattr(arguments, name) is not None
        ]
        if given:
            raise InputError(
                f"{', '.join(given)}: --show-input only prints how the images are read; leave it out"
            )
        _show_input(arguments)
        return
    if is_scene(arguments.before) or is_scene(arguments.after):
        _run_scene(arguments)
        return
    given = given_scene_arguments(arguments) + (["--dates"] if arguments.dates else [])
    if given:
        raise InputError(
            f"{', '.join(given)}: for georeferenced images only, and {arguments.before} and {arguments.after} are "
            "plain images; leave it out"
        )
    _run_pair(arguments)


def _show_input(arguments: argparse.Namespace) -> None:
    from semantic_cc.scene.geo_detection import need_libraries

    need_libraries()
    from semantic_cc.scene.change_map import open_scene
    from semantic_cc.scene.input_summary import InputSummary

    with open_scene(arguments.before, arguments.after, scene_options(arguments)) as (pair, inspection):
        summary = InputSummary.of(pair, inspection)
    if arguments.json:
        print(json.dumps(summary.to_json(), ensure_ascii=False))
        return
    for line in summary.lines():
        say(line)


def _run_pair(arguments: argparse.Namespace) -> None:
    from semantic_cc.figures.description_files import OUTPUTS, write_outputs
    from semantic_cc.files import check_outputs
    from semantic_cc.images import read_pair

    # Report all input errors before the model loads.
    if arguments.out is not None:
        check_outputs(arguments.out, OUTPUTS, [arguments.before, arguments.after])
    before, after, notes = read_pair(arguments.before, arguments.after, check=True)
    with stdout_for_us():
        model = load_asked_model(arguments)
        description = model.describe(before, after, instruction=arguments.instruction)
        description = dataclasses.replace(description, notes=notes + description.notes)
    paths = [] if arguments.out is None else write_outputs(description, before, after, arguments.out)
    if arguments.json:
        report = {**description.to_json(), "files": [path.name for path in paths]}
        print(json.dumps(report, ensure_ascii=False))
        return
    if description.sentence:
        say(description.sentence, style="bold")
    say(change_line(description.changed, description.change_probability, description.class_shares))
    for note in description.notes:
        say(f"note: {note}")
    if paths:
        say(f"outputs: {', '.join(path.name for path in paths)} in {arguments.out}")


def _run_scene(arguments: argparse.Namespace) -> None:
    from semantic_cc.scene.geo_detection import need_libraries

    need_libraries()
    from semantic_cc.progress import progress_of_steps
    from semantic_cc.scene.change_map import device_batch
    from semantic_cc.scene.describe_scene import prepare_scene
    from semantic_cc.scene.scene_plan import measure_window

    options = scene_options(arguments)
    with (
        prepare_scene(
            arguments.before,
            arguments.after,
            out=arguments.out,
            options=options,
            instruction=arguments.instruction,
            dates=arguments.dates and tuple(arguments.dates),
        ) as scene,
        stdout_for_us(),
    ):
        model = load_asked_model(arguments)
        if scene.plan.is_long:
            seconds = measure_window(model, options.tile, options.batch or device_batch(model, options.tile))
            free = None if arguments.out is None else scene.plan.check_disk(Path(arguments.out))
            print(f"semantic-cc: {scene.plan.line(seconds, free)}", file=sys.stderr)
        with progress_of_steps() as advance:
            report = scene.describe(model, advance)
    if arguments.json:
        print(json.dumps(report.to_json(), ensure_ascii=False))
        return
    say_report(report.to_json(), report.folder)


def say_report(report: Mapping[str, Json], folder: Path | None) -> None:
    """Prints the report of a scene.

    Args:
        report: the content of report.json.
        folder: where its files are; None = nothing was written.
    """
    from semantic_cc.scene.report_text import area_text

    content: Any = report
    figures, grid = content["figures"], content["grid"]
    say(content["sentence"], style="bold")
    known = max(figures["known_pixels"], 1)
    shares = [f"{name} {stats['pixels'] / known:.2%}" for name, stats in figures["classes"].items()]
    ground = area_text(figures["known_area_m2"], figures["known_pixels"])
    size = f"{grid['width']}x{grid['height']} pixels"
    say(f"changed: {', '.join(shares)} of the {ground} that both images show ({size})")
    for warning in content["warnings"]:
        say(f"warning: {warning['text']}")
    for note in content["notes"]:
        say(f"note: {note}")
    if folder is not None:
        say(f"outputs: {', '.join(content['files'])} in {folder}")
