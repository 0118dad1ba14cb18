"""Arguments of `describe` and `batch` for scenes: georeferenced images of any size."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from semantic_cc.cli.console import positive
from semantic_cc.scene.export_formats import FORMATS

if TYPE_CHECKING:
    from semantic_cc.scene.scene_options import SceneOptions

_DESTINATIONS = (
    "bands", "crs", "resolution", "match_radiometry", "coregister", "strict", "tile", "overlap", "formats",
    "regularise", "batch", "place_batch",
)  # fmt: skip


def add_scene_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of `SceneOptions`; options that are not given are None."""
    group = parser.add_argument_group(
        "scenes: images that are georeferenced, have more than 8 bits or more than 8192 pixels a side (need "
        "semantic-cc[scene])"
    )
    group.add_argument(
        "--bands",
        metavar="R,G,B[/R,G,B]",
        help="numbers of the red, green and blue bands, counted from 1; those of AFTER follow a /, if they differ",
    )
    group.add_argument(
        "--crs",
        metavar="CRS",
        help="coordinate reference system of images that have none, such as EPSG:32614",
    )
    group.add_argument(
        "--resolution",
        metavar="METRES",
        type=_metres,
        help="pixel size on the ground [that of the finer image]",
    )
    group.add_argument(
        "--no-match-radiometry", dest="match_radiometry", action="store_false", default=None,
        help="do not match the levels of the two dates of images with more than 8 bits",
    )  # fmt: skip
    group.add_argument(
        "--coregister",
        action="store_true",
        default=None,
        help="measure how far AFTER is shifted against BEFORE, and correct a shift of more than a pixel",
    )
    group.add_argument(
        "--strict", action="store_true", default=None, help="treat warnings about the images as errors"
    )
    group.add_argument(
        "--tile", metavar="N", type=positive, help="side of the model's windows in pixels [256]"
    )
    group.add_argument(
        "--overlap", metavar="N", type=int,
        help="pixels that neighbouring windows share [a quarter of --tile]",
    )  # fmt: skip
    group.add_argument(
        "--formats", metavar="SUFFIX", nargs="*", choices=tuple(FORMATS),
        help=f"formats of the change polygons: {', '.join(FORMATS)}; without a value, none [all]",
    )  # fmt: skip
    group.add_argument(
        "--regularise", action="store_true", default=None, help="draw buildings with straight outlines"
    )
    group.add_argument(
        "--batch", metavar="N", type=positive,
        help="windows that the model predicts at once [4 on the CPU; on a GPU, up to 64, as its memory allows]",
    )  # fmt: skip
    group.add_argument(
        "--place-batch", metavar="N", type=positive,
        help="places that are described at once; on a GPU, sentences can depend on it [8 with torch on the CPU, 64 on "
        "a GPU, 16 with openvino]",
    )  # fmt: skip


def given_scene_arguments(arguments: argparse.Namespace) -> list[str]:
    """The given scene options, as flags."""
    given = [name for name in _DESTINATIONS if getattr(arguments, name) is not None]
    names = (
        "no-match-radiometry" if name == "match_radiometry" else name.replace("_", "-") for name in given
    )
    return [f"--{name}" for name in names]


def scene_options(arguments: argparse.Namespace) -> SceneOptions:
    """The given options, with defaults for the others.

    Raises:
        InputError: a value is invalid.
    """
    from semantic_cc.scene.gdal_files import read_crs
    from semantic_cc.scene.image_sources import parse_bands_of_both
    from semantic_cc.scene.scene_options import SceneOptions

    given = {name: value for name in _DESTINATIONS if (value := getattr(arguments, name)) is not None}
    if "bands" in given:
        given["bands"] = parse_bands_of_both(given["bands"])
    if "crs" in given:
        read_crs(given["crs"])
    if "formats" in given:
        given["formats"] = tuple(given["formats"])
    return SceneOptions(**given)


def _metres(text: str) -> float:
    """Parses an argument that is a length above 0, in metres."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a length in metres")
    return number
