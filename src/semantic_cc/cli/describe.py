"""Say what changed between two images of one place, and where.

Plain images are 8-bit RGB of one size (PNG, TIFF, JPEG, BMP, WebP). With --out the folder gets mask.png,
probability.png, overlay.png, heatmap.png and report.json.

Images on a map (GeoTIFF, VRT, JPEG 2000, PNG with a world file, a URL) may have any size, bands, bits and coordinate
system; they are brought to one grid and looked at in windows. The folder of --out gets mask.tif, probability.tif and
scene.json. A run that was killed goes on where it was.
"""

from __future__ import annotations

import argparse
import dataclasses
import json

from semantic_cc.cli.console import add_asked_model, change_line, load_asked_model, say, stdout_for_us
from semantic_cc.cli.scene_options import add_scene_arguments, is_scene_call, run_scene

NAME = "describe"
HELP = "say what changed between two images, and where"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("before", metavar="BEFORE", help="the earlier image")
    parser.add_argument("after", metavar="AFTER", help="the later image, of the same ground")
    parser.add_argument("--out", metavar="DIR", help="folder to write mask, pictures and report to")
    parser.add_argument(
        "--json", action="store_true", help="print the report as one JSON object and nothing else"
    )
    add_asked_model(parser)
    add_scene_arguments(parser)


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    if is_scene_call(arguments):
        run_scene(arguments)
        return
    from semantic_cc.files import check_folder
    from semantic_cc.images import read_pair

    # Everything that can be wrong with the input is found before the model loads.
    if arguments.out is not None:
        check_folder(arguments.out)
    before, after, notes = read_pair(arguments.before, arguments.after)
    with stdout_for_us():
        model = load_asked_model(arguments)
        description = model.describe(before, after, instruction=arguments.instruction)
        description = dataclasses.replace(description, notes=notes + description.notes)

    from semantic_cc.figures.description_files import make_report, write_outputs

    paths = [] if arguments.out is None else write_outputs(description, before, after, arguments.out)
    if arguments.json:
        print(
            json.dumps(
                {**make_report(description), "files": [str(path) for path in paths]}, ensure_ascii=False
            )
        )
        return
    if description.sentence:
        say(description.sentence, style="bold")
    say(change_line(description))
    for note in description.notes:
        say(f"note: {note}")
    if paths:
        say(f"outputs: {', '.join(path.name for path in paths)} in {arguments.out}")
