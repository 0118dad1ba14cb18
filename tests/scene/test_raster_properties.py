"""Type, bands, layout, system, orientation and nodata in any combination give the plain pair; fuzzed headers a line."""

import contextlib
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import rasterio
from affine import Affine
from drawn_pairs import collar, drawn_pair
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from rasterio.enums import ColorInterp
from scenes import UTM, PixelModel, write_raster

from semantic_cc.errors import InputError
from semantic_cc.scene.common_grid import open_pair
from semantic_cc.scene.geo_detection import is_scene
from semantic_cc.scene.geodesy import ground_sampling
from semantic_cc.scene.grid import Window
from semantic_cc.scene.raster import Raster

SIDE = 96
PAIR = drawn_pair(SIDE, seed=2)
FACTORS = {"uint8": 1, "uint16": 16, "int16": 64, "int32": 257, "float32": 1 / 255, "float64": 1.0}
RGB = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
SYSTEMS = {  # the upper left corner, and the sides of a pixel of half a metre
    UTM: (620_000, 3_350_000, 0.5, 0.5), "EPSG:2277": (3_110_000, 10_070_000, 1.6404167, 1.6404167),
    "EPSG:3413": (-24, 24, 0.4853, 0.4853), "EPSG:3857": (-10_880_000, 3_540_000, 0.5793, 0.5793),
    "EPSG:4326": (-97.74, 30.27, 5.1954e-6, 4.5109e-6),
}  # fmt: skip
"""In UTM, feet, around the North Pole, in Web Mercator and in degrees."""


def changed(before: np.ndarray, after: np.ndarray, known: np.ndarray) -> int:
    """Changed pixels, as a model sees them that compares single pixels."""
    found = PixelModel().predict_masks(before[None], after[None]).class_probabilities[0]
    return int(((found.argmax(axis=0) > 0) & known).sum())


def stored(
    path: Path,
    image: np.ndarray,
    kind: str,
    bands: str,
    orientation: str,
    nodata: str,
    hidden: np.ndarray,
    system: str = UTM,
    **profile: object,
) -> Path:
    """Writes an image in one of the ways."""
    values = (image * np.float64(FACTORS[kind])).round(0 if "int" in kind else 9).astype(kind)
    extra = {"rgb": [], "bgrn": [image[..., 1] // 2], "rgbnx": [image[..., 1] // 2, image[..., 0] // 3]}[
        bands
    ]
    order = values[..., ::-1] if bands == "bgrn" else values
    stack = np.dstack([order, *((band * np.float64(FACTORS[kind])).astype(kind) for band in extra)])
    if nodata == "tag":
        stack[hidden], profile["nodata"] = 0, 0
    elif nodata == "fill":
        stack[hidden] = -9999
    elif nodata == "nan":
        stack[hidden] = np.nan
    elif nodata == "collar":
        stack[hidden] = 0
    left, top, across, down = SYSTEMS[system]
    place = Affine(across, 0, left, 0, -down, top)
    if orientation == "south up":
        stack, hidden = stack[::-1], hidden[::-1]
        place = Affine(across, 0, left, 0, down, top - SIDE * down)
    elif orientation == "turned":
        place = place @ Affine.rotation(-20)
    write_raster(path, np.ascontiguousarray(stack), place, system, **profile)
    with rasterio.open(path, "r+") as file:
        if bands == "bgrn":
            file.colorinterp = (*RGB[::-1], ColorInterp.undefined)
        if nodata == "mask":
            file.write_mask(~hidden)
    return path


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kind=st.sampled_from(sorted(FACTORS)), bands=st.sampled_from(["rgb", "bgrn", "rgbnx"]),
    orientation=st.sampled_from(["north up", "south up", "turned"]),
    nodata=st.sampled_from(["none", "tag", "mask", "nan", "fill", "collar"]),
    shape=st.sampled_from(["strip", "sides", "wedge", "slanted", "notch"]),
    interleave=st.sampled_from(["pixel", "band"]), compress=st.sampled_from([None, "lzw", "deflate"]),
    block=st.sampled_from([None, 16, 64]), system=st.sampled_from(sorted(SYSTEMS)),
)  # fmt: skip
@example("float32", "rgb", "south up", "nan", "strip", "pixel", None, None, UTM)
@example("int16", "rgb", "north up", "fill", "strip", "pixel", None, None, UTM)
@example("uint8", "bgrn", "turned", "collar", "slanted", "band", "lzw", 16, "EPSG:4326")
@example("float32", "rgb", "south up", "collar", "slanted", "pixel", None, None, "EPSG:3857")
def test_any_combination_gives_the_plain_pair(
    kind: str, bands: str, orientation: str, nodata: str, shape: str, interleave: str, compress: str | None,
    block: int | None, system: str,
) -> None:  # fmt: skip
    if nodata == "nan" and "float" not in kind:
        nodata = "tag"
    if nodata == "fill" and kind.startswith("u"):
        nodata = "collar"
    hidden = collar((SIDE, SIDE), shape) if nodata != "none" else np.zeros((SIDE, SIDE), bool)
    profile: dict[str, object] = {"interleave": interleave}
    profile |= {"compress": compress} if compress else {}
    profile |= {"tiled": True, "blockxsize": block, "blockysize": block} if block else {}
    with TemporaryDirectory() as folder:
        paths = [
            stored(
                Path(folder) / f"{name}.tif",
                image,
                kind,
                bands,
                orientation,
                nodata,
                hidden,
                system,
                **profile,
            )
            for name, image in zip("ab", PAIR, strict=True)
        ]
        assert all(is_scene(path) for path in paths)
        with open_pair(*paths) as pair:
            before, after, known = pair.read(Window(0, 0, pair.grid.height, pair.grid.width))
            pixel = np.prod(ground_sampling(pair.grid))
    np.testing.assert_array_equal(known, ~hidden)
    for image, plain in zip((before, after), PAIR, strict=True):
        assert np.abs(image.astype(float) - plain)[known].mean() < 2.5
    area = changed(before, after, known) * pixel
    assert area == pytest.approx(changed(*PAIR, known) * 0.25, rel=0.05, abs=2)


MUTANTS = """
import resource, signal, sys, time
import numpy as np
from pathlib import Path
from semantic_cc.errors import InputError
from semantic_cc.scene.geo_detection import is_scene
from semantic_cc.scene.grid import Window
from semantic_cc.scene.raster import Raster
from semantic_cc.scene.resampled import OnGrid

resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
source, count, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
content, rng = source.read_bytes(), np.random.default_rng(seed)
path = source.with_name("mutant" + source.suffix)
refused, slowest = 0, 0.0
for number in range(count):
    mutant = bytearray(content)
    for _ in range(rng.integers(1, 5)):
        where = int(rng.integers(0, min(len(mutant), 600) if rng.random() < 0.8 else len(mutant)))
        mutant[where] = int(rng.integers(0, 256))
    if rng.random() < 0.1:
        del mutant[int(rng.integers(0, len(mutant))):]
    path.write_bytes(mutant)
    # 20 s of CPU, because the machine may be busy, and 60 s in all; either signal ends the process
    signal.setitimer(signal.ITIMER_PROF, 20)
    signal.alarm(60)
    started = time.process_time()
    is_scene(path)
    try:
        with Raster(path) as image:
            OnGrid(image, image.grid).read(Window(0, 0, min(96, image.grid.height), min(96, image.grid.width)))
    except InputError as error:
        assert "\\n" not in str(error)
        refused += 1
    slowest = max(slowest, time.process_time() - started)
# not ru_maxrss, which starts at the peak of the process that started this one
peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print("mutants", count, "refused", refused, "slowest_s", round(slowest, 2), "peak_mb", int(peak.split()[1]) // 1024)
"""


def fuzz(path: Path, count: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", MUTANTS, path, str(count), "1"],
        capture_output=True,
        text=True,
        timeout=20 + count,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    words = done.stdout.split()
    found = dict(zip(words[::2], map(float, words[1::2]), strict=True))
    print(path.name, done.stdout.strip())  # seen with pytest -s
    assert found["mutants"] == count and found["peak_mb"] < 2048


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "profile"),
    [
        ("a.tif", {}), ("b.tif", {"tiled": True, "blockxsize": 16, "blockysize": 16, "compress": "lzw"}),
        ("c.jp2", {"driver": "JP2OpenJPEG"}), ("d.png", {"driver": "PNG", "transform": None, "crs": None}),
        ("e.jpg", {"driver": "JPEG", "transform": None, "crs": None}),
    ],
)  # fmt: skip
def test_broken_headers_give_one_line(name: str, profile: dict, tmp_path: Path) -> None:
    """2,000 mutants in all: no crash, no hang, no more than 2 GB, no message of several lines."""
    fuzz(write_raster(tmp_path / name, PAIR[1], **profile), 400)


def test_a_few_broken_headers_give_one_line(tmp_path: Path) -> None:
    fuzz(write_raster(tmp_path / "a.tif", PAIR[1], compress="deflate"), 40)


def test_bytes_that_are_no_image(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for start in (b"", b"II*\0", b"MM\0*", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"<VRTDataset", b"PK\3\4"):
        path = tmp_path / ("a.zip" if start.startswith(b"PK") else "a.tif")
        path.write_bytes(start + rng.bytes(300))
        is_scene(path)
        with contextlib.suppress(InputError), Raster(path):
            pass
