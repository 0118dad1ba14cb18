"""Make a dataset in LEVIR-MCI's layout from the synthetic world, or one scene on the map: same seed, same bytes.

A scene (--scene, needs semantic-cc[scene]) is before.tif, after.tif, the true mask truth.tif and footprints.geojson.
"""

from __future__ import annotations

import argparse

from semantic_cc.cli.console import positive, progress_bar, say

NAME = "synth"
HELP = "make a dataset from the synthetic world"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("out", metavar="OUT", help="new or empty folder to make it in")
    kind = parser.add_mutually_exclusive_group(required=True)
    kind.add_argument("--pairs", metavar="N", type=positive, help="number of pairs, all splits together")
    kind.add_argument("--scene", metavar="N", type=positive, help="side of one scene, in pixels of 0.5 m")
    parser.add_argument("--seed", metavar="S", type=int, required=True, help="seed of the world, 0 or more")
    parser.add_argument(
        "--workers", metavar="N", type=positive, help="processes for pairs [one for each core]"
    )
    parser.add_argument(
        "--crs",
        metavar="CRS",
        default="EPSG:32614",
        help="coordinate reference system of a scene [EPSG:32614]",
    )


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    if arguments.scene is not None:
        _run_scene(arguments)
        return
    from semantic_cc.data.world import write_dataset
    from semantic_cc.files import check_folder

    out, pairs = check_folder(arguments.out), arguments.pairs
    with progress_bar("pairs") as advance:
        write_dataset(
            out, pairs, arguments.seed, workers=arguments.workers, progress=lambda done: advance(done, pairs)
        )
    say(f"{pairs} pairs of the world {arguments.seed} in {out}")


def _run_scene(arguments: argparse.Namespace) -> None:
    from semantic_cc.files import check_folder
    from semantic_cc.scene.recognise import need_libraries

    need_libraries()
    out = check_folder(arguments.out)

    from semantic_cc.scene.raster import read_crs
    from semantic_cc.scene.synth import write_scene

    with progress_bar("blocks") as progress:
        write_scene(out, arguments.scene, read_crs(arguments.crs), arguments.seed, progress)
    say(f"a scene of {arguments.scene}x{arguments.scene} pixels of the world {arguments.seed} in {out}")
