"""Make a dataset in LEVIR-MCI's layout, or one scene on the map: same seed, same bytes.

A dataset is of the synthetic world; or, with a recipe, of single-date images with building masks (docs/data.md).
A scene (--scene, needs semantic-cc[scene]) is before.tif, after.tif, the true mask truth.tif and footprints.geojson.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from semantic_cc.cli.console import positive, progress_bar, say
from semantic_cc.errors import InputError

NAME = "synth"
HELP = "make a dataset from the synthetic world"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("out", metavar="OUT", help="new or empty folder to make it in")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument(
        "--recipe", metavar="FILE.yaml", help="what to mix, such as runs/real.yaml [the world alone]"
    )
    kind.add_argument("--scene", metavar="N", type=positive, help="side of one scene, in pixels of 0.5 m")
    parser.add_argument(
        "--pairs", metavar="N", type=positive, help="number of pairs, all splits together [the recipe's]"
    )
    parser.add_argument("--seed", metavar="S", type=int, help="seed, 0 or more [the recipe's]")
    parser.add_argument(
        "--workers", metavar="N", type=positive, help="processes for pairs [one for each core]"
    )
    parser.add_argument("--crs", metavar="CRS", help="coordinate reference system of a scene [EPSG:32614]")


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    from semantic_cc.files import check_folder

    out, pairs, seed = check_folder(arguments.out), arguments.pairs, arguments.seed
    if arguments.scene is not None:
        _run_scene(arguments, out)
        return
    if arguments.crs is not None:
        raise InputError("synth: --crs is of a scene; give --scene too, or leave it out")
    if arguments.recipe is not None:
        from semantic_cc.synth.composite import write_mixture

        with progress_bar("pairs") as advance:
            pairs, seed = write_mixture(out, Path(arguments.recipe), pairs, seed, arguments.workers, advance)
        say(f"{pairs} pairs of the recipe {arguments.recipe}, seed {seed}, in {out}")
        return
    from semantic_cc.synth.procedural import write_dataset

    if pairs is None or seed is None:
        raise InputError("synth: --pairs and --seed are required without --recipe and --scene; give both")
    with progress_bar("pairs") as advance:
        write_dataset(out, pairs, seed, workers=arguments.workers, progress=lambda done: advance(done, pairs))
    say(f"{pairs} pairs of the world {seed} in {out}")


def _run_scene(arguments: argparse.Namespace, out: Path) -> None:
    from semantic_cc.scene.geo_detection import need_libraries

    if arguments.seed is None or arguments.pairs is not None or arguments.workers is not None:
        raise InputError("synth: a scene needs --seed, and has no --pairs and --workers")
    need_libraries()

    from semantic_cc.scene.gdal_files import read_crs
    from semantic_cc.scene.synthetic_scene import write_scene

    with progress_bar("blocks") as progress:
        write_scene(out, arguments.scene, read_crs(arguments.crs or "EPSG:32614"), arguments.seed, progress)
    say(f"a scene of {arguments.scene}x{arguments.scene} pixels of the world {arguments.seed} in {out}")
