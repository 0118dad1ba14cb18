"""`describe` on a scene: images on a map, of any size."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from semantic_cc.cli.console import load_asked_model, positive, progress_bar, say, stdout_for_us

if TYPE_CHECKING:
    from semantic_cc.scene.change_map import SceneOptions
    from semantic_cc.scene.tiling import Tiling

_FORMATS = ("geojson", "gpkg", "parquet", "fgb")
_ALONE = ("regularise", "bands", "crs", "resolution", "coregister", "strict", "tile", "overlap", "batch")
"""Arguments that make any pair a scene."""


def add_scene_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares what `describe` reads for scenes alone."""
    group = parser.add_argument_group(
        "images on a map, or of more than 8192 pixels a side (need semantic-cc[scene])"
    )
    group.add_argument(
        "--bands",
        metavar="R,G,B[/R,G,B]",
        help="bands, from 1, that are red, green and blue; of each image after /",
    )
    group.add_argument(
        "--crs",
        metavar="CRS",
        help="coordinate reference system of images that name none, such as EPSG:32614",
    )
    group.add_argument(
        "--resolution",
        metavar="METRES",
        type=_metres,
        help="side of a pixel on the ground [the finer image's]",
    )
    group.add_argument(
        "--coregister", action="store_true", help="take back a shift of the later image of more than a pixel"
    )
    group.add_argument("--strict", action="store_true", help="stop where an image is not fit to be compared")
    group.add_argument(
        "--tile", metavar="N", type=positive, help="side of the model's windows in pixels [256]"
    )
    group.add_argument("--overlap", metavar="N", type=int, help="pixels that neighbouring windows share [64]")
    group.add_argument(
        "--formats", metavar="SUFFIX", nargs="*", choices=_FORMATS, default=list(_FORMATS),
        help=f"of the polygons: {', '.join(_FORMATS)} [all]",
    )  # fmt: skip
    group.add_argument("--regularise", action="store_true", help="draw buildings with straight outlines")
    group.add_argument(
        "--batch",
        metavar="N",
        type=positive,
        help="windows at once [4 on the CPU, on a GPU what its memory holds]",
    )


def is_scene_call(arguments: argparse.Namespace) -> bool:
    """Whether `describe` was asked for a scene: by an argument of scenes, or by what the images are."""
    from semantic_cc.scene.geo_detection import is_scene

    return asks_for_scenes(arguments) or is_scene(arguments.before) or is_scene(arguments.after)


def asks_for_scenes(arguments: argparse.Namespace) -> bool:
    """Whether an argument was given that scenes alone have."""
    return any(getattr(arguments, name) not in (None, False) for name in _ALONE)


def run_scene(arguments: argparse.Namespace) -> None:
    """Runs `describe` on a scene."""
    from semantic_cc.errors import InputError
    from semantic_cc.files import check_folder
    from semantic_cc.scene.geo_detection import need_libraries

    need_libraries()
    if arguments.out is None:
        raise InputError("the map of a scene needs a place: give a folder with --out")
    folder = check_folder(arguments.out)

    from semantic_cc.scene.change_map import map_changes, open_scene
    from semantic_cc.scene.describe_changes import tell_changes

    options, tiling = scene_options(arguments), scene_tiling(arguments)
    with open_scene(arguments.before, arguments.after, options) as (pair, inspection):
        if not arguments.json:
            for finding in inspection.findings:
                say(f"warning: {finding.message}")
        with stdout_for_us():
            model = load_asked_model(arguments)
            with progress_bar("windows") as progress:
                report = map_changes(
                    pair, inspection, model, folder, tiling=tiling, batch=arguments.batch, progress=progress
                )
            with progress_bar("places") as progress:
                report |= tell_changes(
                    report, pair, inspection, model, folder, instruction=arguments.instruction,
                    formats=arguments.formats, regularise=arguments.regularise, progress=progress,
                )  # fmt: skip
    _tell(report, folder, arguments.json)


def scene_tiling(arguments: argparse.Namespace) -> Tiling:
    """The windows asked for.

    Raises:
        InputError: impossible ones.
    """
    from semantic_cc.scene.tiling import Tiling

    given = {name: value for name in ("tile", "overlap") if (value := getattr(arguments, name)) is not None}
    return Tiling(**given)


def scene_options(arguments: argparse.Namespace) -> SceneOptions:
    """How the images become a scene, as asked for.

    Raises:
        InputError: no bands, or no coordinate reference system.
    """
    from semantic_cc.scene.change_map import SceneOptions
    from semantic_cc.scene.gdal_files import read_crs
    from semantic_cc.scene.image_sources import parse_bands_of_both

    return SceneOptions(
        bands=parse_bands_of_both(arguments.bands) if arguments.bands else (None, None),
        crs=None if arguments.crs is None else read_crs(arguments.crs),
        resolution=arguments.resolution,
        coregister=arguments.coregister,
        strict=arguments.strict,
    )


def _tell(report: dict[str, Any], folder: Path, as_json: bool) -> None:
    files = [str(folder / name) for name in report["files"]]
    if as_json:
        told = {key: value for key, value in report.items() if key != "windows"}
        print(json.dumps({**told, "files": files}, ensure_ascii=False))
        return
    say(report["sentence"], style="bold")
    grid, pixels = report["grid"], report["pixels"]
    size = f"{grid['width']}x{grid['height']} pixels"
    if report["area_m2"] is not None:
        size += f", {report['area_m2'] / 1e6:.3g} km²"
    known = sum(pixels.values()) - pixels["unknown"]
    shares = [f"{name} {pixels[name] / max(known, 1):.2%}" for name in report["classes"].values()]
    say(f"changed: {', '.join(shares)} of what both images show ({size})")
    asks = sum(window["asks_for_words"] for window in report["windows"])
    say(f"windows with change: {asks} of {len(report['windows'])}")
    for note in report["notes"]:
        say(f"note: {note}")
    say(f"outputs: {', '.join(report['files'])} in {folder}")


def _metres(text: str) -> float:
    """Reads an argument that is a length above 0."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a length in metres")
    return number
