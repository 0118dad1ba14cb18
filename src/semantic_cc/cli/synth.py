"""Make synthetic pairs with true masks and sentences, in LEVIR-MCI's layout; the same seed gives the same bytes.

Pairs are procedural by default: every object in them is drawn. With --recipe they are composed of single-date images
with building masks (docs/data.md). --scene makes one georeferenced scene instead: before.tif, after.tif, the true mask
truth.tif and footprints.geojson; it needs semantic-cc[scene].
"""

from __future__ import annotations

import argparse
from pathlib import Path

from semantic_cc.cli.console import positive, progress_bar, say
from semantic_cc.errors import InputError

NAME = "synth"
HELP = "make synthetic pairs with true masks and sentences"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("out", metavar="OUT", help="new or empty folder to write to")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument(
        "--recipe", metavar="FILE.yaml", help="sources to mix, such as runs/real.yaml [procedural pairs only]"
    )
    kind.add_argument("--scene", metavar="N", type=positive, help="side of one scene, in pixels of 0.5 m")
    parser.add_argument(
        "--pairs",
        metavar="N",
        type=positive,
        help="number of pairs, all splits together [the recipe's]; needed without --recipe",
    )
    parser.add_argument(
        "--seed", metavar="S", type=int, help="seed, 0 or more [the recipe's]; needed without --recipe"
    )
    parser.add_argument("--workers", metavar="N", type=positive, help="worker processes [one per core]")
    parser.add_argument("--crs", metavar="CRS", help="coordinate reference system of a scene [EPSG:32614]")


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    from semantic_cc.files import check_folder

    out, pairs, seed = check_folder(arguments.out), arguments.pairs, arguments.seed
    if arguments.scene is not None:
        _run_scene(arguments, out)
        return
    if arguments.crs is not None:
        raise InputError("synth: --crs needs --scene; give both, or neither")
    if arguments.recipe is not None:
        from semantic_cc.synth.composite import write_mixture

        with progress_bar("pairs") as advance:
            pairs, seed = write_mixture(
                out, Path(arguments.recipe), pairs, seed, workers=arguments.workers, progress=advance
            )
        say(f"{pairs} pairs of the recipe {arguments.recipe}, seed {seed}, in {out}")
        return
    from semantic_cc.synth.procedural import write_dataset

    if pairs is None or seed is None:
        raise InputError("synth: --pairs and --seed are required without --recipe and --scene; give both")
    with progress_bar("pairs") as advance:
        write_dataset(out, pairs, seed, workers=arguments.workers, progress=advance)
    say(f"{pairs} procedural pairs, seed {seed}, in {out}")


def _run_scene(arguments: argparse.Namespace, out: Path) -> None:
    from semantic_cc.scene.geo_detection import need_libraries

    if arguments.seed is None or arguments.pairs is not None or arguments.workers is not None:
        raise InputError("synth: --scene needs --seed and takes neither --pairs nor --workers")
    need_libraries()

    from semantic_cc.scene.gdal_files import read_crs
    from semantic_cc.scene.synthetic_scene import write_scene

    with progress_bar("blocks") as progress:
        write_scene(out, arguments.scene, read_crs(arguments.crs or "EPSG:32614"), arguments.seed, progress)
    say(f"a scene of {arguments.scene}x{arguments.scene} pixels, seed {arguments.seed}, in {out}")
