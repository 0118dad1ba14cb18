"""Reading images: what is taken, what is converted with a note, what is refused in one line."""

import io
import struct
import warnings
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from semantic_cc.errors import ImageError
from semantic_cc.images import MAX_SIDE, MIN_SIDE, read_image, read_pair

RGB = np.random.default_rng(0).integers(0, 256, (20, 24, 3), dtype=np.uint8)


def save(path, array, mode=None, **options):
    image = Image.fromarray(array)
    (image.convert(mode) if mode else image).save(path, **options)
    return path


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp"])
def test_rgb_is_taken_as_is(tmp_path, suffix):
    array, notes = read_image(save(tmp_path / f"a{suffix}", RGB))
    assert notes == ()
    assert array.dtype == np.uint8
    assert array.flags.writeable
    assert array.flags.c_contiguous
    np.testing.assert_array_equal(array, RGB)


@pytest.mark.parametrize(
    ("mode", "what"), [("P", "palette"), ("L", "8-bit grey"), ("1", "1-bit grey"), ("RGBA", "RGBA")]
)
def test_other_kinds_are_converted_with_a_note(tmp_path, mode, what):
    path = save(tmp_path / "a.png", RGB, mode)
    array, notes = read_image(str(path))
    np.testing.assert_array_equal(array, np.array(Image.fromarray(RGB).convert(mode).convert("RGB")))
    assert len(notes) == 1
    assert str(path) in notes[0]
    assert what in notes[0]
    assert "converted to RGB" in notes[0]


@pytest.mark.parametrize("suffix", [".jpg", ".tif", ".png"])
def test_exif_orientation_is_applied_with_a_note(tmp_path, suffix):
    exif = Image.Exif()
    exif[0x0112] = 6
    flat = np.zeros((32, 64, 3), np.uint8)
    flat[:, :32] = 255
    array, notes = read_image(save(tmp_path / f"a{suffix}", flat, exif=exif))
    assert array.shape == (64, 32, 3)
    assert array[:28].min() > 240
    assert array[36:].max() < 15
    assert any("EXIF orientation" in note for note in notes)


def test_only_the_first_page_is_read_and_said(tmp_path):
    first, second = Image.fromarray(RGB), Image.fromarray(255 - RGB)
    first.save(tmp_path / "a.tif", save_all=True, append_images=[second])
    array, notes = read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(array, RGB)
    assert "2 pages" in notes[0]


@pytest.mark.parametrize("source", [RGB, RGB[..., 0], np.dstack([RGB, np.full((20, 24), 255, np.uint8)])])
def test_arrays_and_pil_images_read_alike(source):
    from_array, array_notes = read_image(source)
    from_pil, pil_notes = read_image(Image.fromarray(source))
    np.testing.assert_array_equal(from_array, from_pil)
    assert array_notes == pil_notes
    assert from_array.shape == (20, 24, 3)


def test_an_rgb_array_is_not_copied():
    assert read_image(RGB)[0] is RGB


def test_missing_directory_and_not_an_image(tmp_path):
    (tmp_path / "text.png").write_text("hello")
    (tmp_path / "empty.png").touch()
    with pytest.raises(ImageError, match=r"nowhere\.png: no such file; check the path"):
        read_image(tmp_path / "nowhere.png")
    with pytest.raises(ImageError, match="no such file"):
        read_image("a\0b.png")
    with pytest.raises(ImageError, match="is a directory; give an image file"):
        read_image(tmp_path)
    for name in ("text", "empty"):
        with pytest.raises(ImageError, match=rf"{name}\.png: not an image in one of PNG"):
            read_image(tmp_path / f"{name}.png")


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".bmp", ".webp"])
@pytest.mark.parametrize("keep", [0.5, 0.9])
def test_truncated(tmp_path, suffix, keep):
    path = save(tmp_path / f"a{suffix}", np.tile(RGB, (4, 4, 1)))
    data = path.read_bytes()
    path.write_bytes(data[: int(keep * len(data))])
    with pytest.raises(ImageError, match=r"a\.\w+: (damaged or truncated image|not an image)"):
        read_image(path)


def test_truncated_right_after_the_header(tmp_path):
    path = save(tmp_path / "a.png", RGB)
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(ImageError, match="damaged or truncated image"):
        read_image(path)


@pytest.mark.parametrize(
    ("array", "mode", "suffix"),
    [
        (RGB, "F", ".tif"),
        (RGB, "I", ".tif"),
        (RGB, "LAB", ".tif"),
        (RGB[..., 0].astype(np.uint16), None, ".png"),
        (RGB[..., 0].astype(np.uint16), None, ".tif"),
    ],
)
def test_other_kinds_are_refused(tmp_path, array, mode, suffix):
    path = save(tmp_path / f"a{suffix}", array, mode)
    with pytest.raises(ImageError, match=r"(unsupported kind of image \(mode|16 bits a channel).* 8-bit RGB"):
        read_image(path)


def png_16_bit():
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 20, 20, 16, 2, 0, 0, 0)
    rows = zlib.compress((b"\0" + bytes(20 * 6)) * 20)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def tiff(bits, bands, *extra):
    """A 20x20 uncompressed little-endian TIFF of zeros with the given extra tags."""
    size, count = 20 * 20 * bands * bits // 8, 9 + len(extra)
    end = 8 + 2 + 12 * count + 4  # the bits of each band lie behind the directory, then the pixels
    tags = [
        (256, 3, 1, 20),
        (257, 3, 1, 20),
        (258, 3, bands, end),
        (259, 3, 1, 1),
        (262, 3, 1, 2),
        (273, 4, 1, end + 2 * bands),
        (277, 3, 1, bands),
        (278, 3, 1, 20),
        (279, 4, 1, size),
        *extra,
    ]
    directory = struct.pack("<H", count) + b"".join(struct.pack("<HHII", *tag) for tag in tags) + bytes(4)
    return (
        b"II*\0" + struct.pack("<I", 8) + directory + struct.pack(f"<{bands}H", *[bits] * bands) + bytes(size)
    )


@pytest.mark.parametrize("content", [png_16_bit(), tiff(16, 3)])
def test_16_bit_rgb_is_refused_though_pillow_would_cut_it(tmp_path, content):
    (tmp_path / "a").write_bytes(content)
    assert Image.open(tmp_path / "a").mode == "RGB"
    with pytest.raises(ImageError, match="has 16 bits a channel; describe the pair as a scene"):
        read_image(tmp_path / "a")


@pytest.mark.parametrize(
    "content", [tiff(8, 2), tiff(8, 4), tiff(8, 4, (338, 3, 1, 0)), tiff(8, 5, (338, 3, 2, 0))]
)
def test_other_band_counts_are_refused(tmp_path, content):
    (tmp_path / "a.tif").write_bytes(content)
    with pytest.raises(
        ImageError, match=r"a\.tif: (unsupported kind of image|not an image|has \d bands that are not)"
    ):
        read_image(tmp_path / "a.tif")


def test_the_hand_made_tiff_is_sound(tmp_path):
    (tmp_path / "a.tif").write_bytes(tiff(8, 3))
    assert read_image(tmp_path / "a.tif")[0].shape == (20, 20, 3)


def test_transparency_is_refused(tmp_path):
    rgba = np.dstack([RGB, np.full((20, 24), 255, np.uint8)])
    rgba[3, 4, 3] = 254
    for source in (rgba, Image.fromarray(rgba), save(tmp_path / "a.png", rgba)):
        with pytest.raises(ImageError, match="has transparent pixels; describe the pair as a scene"):
            read_image(source)
    colour_key = tuple(int(value) for value in RGB[0, 0])
    with pytest.raises(ImageError, match="has transparent pixels"):
        read_image(save(tmp_path / "key.png", RGB, transparency=colour_key))


def test_sizes(tmp_path):
    for width, height in ((1, 1), (MIN_SIDE - 1, 64), (64, MIN_SIDE - 1)):
        with pytest.raises(ImageError, match=rf"{width}x{height} pixels is too small; give at least 16"):
            read_image(np.zeros((height, width, 3), np.uint8))
    assert read_image(np.zeros((MIN_SIDE, MIN_SIDE, 3), np.uint8))[0].shape == (16, 16, 3)
    assert read_image(np.zeros((16, MAX_SIDE, 3), np.uint8))[0].shape == (16, MAX_SIDE, 3)
    with pytest.raises(ImageError, match="8193x16 pixels is too large; cut it to at most 8192"):
        read_image(save(tmp_path / "wide.png", np.zeros((16, MAX_SIDE + 1, 3), np.uint8)))


@pytest.mark.parametrize("side", [10_000, 20_000])
def test_huge_headers_make_one_line_and_no_noise(tmp_path, side, recwarn):
    data = io.BytesIO()
    Image.new("1", (side, side)).save(data, "PNG")
    (tmp_path / "bomb.png").write_bytes(data.getvalue())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ImageError, match="too large; cut it to at most 8192 pixels a side"):
            read_image(tmp_path / "bomb.png")
    assert not recwarn.list


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (RGB / 255, "the array is float64; give uint8 values"),
        (RGB.astype(np.uint16), "the array is uint16"),
        (RGB.transpose(2, 0, 1), r"shape \(3, 20, 24\); give \(H, W, 3\) RGB, channels last"),
        (RGB[None], "channels last"),
        (RGB[..., :2], "channels last"),
        (np.zeros((0, 20, 3), np.uint8), "too small"),
    ],
)
def test_arrays_refused(array, message):
    with pytest.raises(ImageError, match=message):
        read_image(array)


def test_other_types_and_closed_images_are_refused(tmp_path):
    with pytest.raises(ImageError, match="the image: cannot read a bytes; give a path"):
        read_image(b"x")
    with Image.open(save(tmp_path / "a.png", RGB)) as image:
        pass
    with pytest.raises(ImageError, match="the image: damaged or truncated"):
        read_image(image)


def test_pair(tmp_path):
    path = save(tmp_path / "a.png", RGB, "L")
    before, after, notes = read_pair(path, RGB[..., 1])
    assert before.shape == after.shape == (20, 24, 3)
    assert notes == (f"{path}: 8-bit grey converted to RGB", "the after image: 8-bit grey converted to RGB")
    with pytest.raises(ImageError, match=r"a\.png and the after image: sizes differ \(24x20 and 20x20\)"):
        read_pair(path, RGB[:, :20])
    with pytest.raises(ImageError, match="the before image: the array is float64"):
        read_pair(RGB / 255, RGB)


def _encoded():
    files = []
    lzw = {"compression": "tiff_lzw"}
    for format_, options in (("PNG", {}), ("JPEG", {}), ("TIFF", {}), ("TIFF", lzw), ("WEBP", {})):
        buffer = io.BytesIO()
        Image.fromarray(RGB).save(buffer, format_, **options)
        files.append(buffer.getvalue())
    return files


FILES = _encoded()


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_bytes_read_or_raise_one_line(tmp_path, data):
    valid = data.draw(st.sampled_from(FILES))
    kind = data.draw(st.sampled_from(["random", "cut", "flip"]))
    if kind == "random":
        content = valid[: data.draw(st.integers(0, 16))] + data.draw(st.binary(max_size=200))
    elif kind == "cut":
        content = valid[: data.draw(st.integers(0, len(valid)))]
    else:
        broken = bytearray(valid)
        for position in data.draw(st.lists(st.integers(0, len(valid) - 1), min_size=1, max_size=8)):
            broken[position] = data.draw(st.integers(0, 255))
        content = bytes(broken)
    path = tmp_path / "fuzz"
    path.write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            array, _ = read_image(path)
        except ImageError as error:
            message = str(error)
            array = None
    if array is None:
        assert "\n" not in message
    else:
        assert array.dtype == np.uint8
        assert array.shape[2:] == (3,)


def test_broken_tiff_prints_nothing(tmp_path, capfd):
    for cut in range(8, len(FILES[3]), 40):
        (tmp_path / "a.tif").write_bytes(FILES[3][:cut] + bytes(len(FILES[3]) - cut))
        with pytest.raises(ImageError, match=r"a\.tif"):
            read_image(tmp_path / "a.tif")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("mode", "suffix", "what"),
    [
        ("CMYK", ".tif", "CMYK"),
        ("CMYK", ".jpg", "CMYK"),
        ("LA", ".png", "opaque 8-bit grey"),
        ("P", ".gif", "palette"),
    ],
)
def test_kinds_of_print_and_web_are_converted_with_a_note(tmp_path, mode, suffix, what):
    path = save(tmp_path / f"a{suffix}", RGB, mode)
    array, notes = read_image(path)
    np.testing.assert_array_equal(array, np.array(Image.open(path).convert("RGB")))
    assert f"{what} converted to RGB" in notes[0]


def test_slips_are_found_where_a_user_gives_files(tmp_path):
    path, black = save(tmp_path / "a.png", RGB), save(tmp_path / "black.png", RGB * 0)
    assert any("the same file" in note for note in read_pair(path, path, check=True)[2])
    with pytest.raises(ImageError, match=r"black.png: has one value only \(0, 0, 0\)"):
        read_pair(path, black, check=True)
    assert read_pair(path, black)[2] == () and read_pair(RGB, RGB * 0, check=True)[2] == ()


@pytest.mark.parametrize("suffix", [".gif", ".png", ".webp", ".tif"])
def test_the_first_frame_of_an_animation_is_taken_with_a_note(tmp_path, suffix):
    frames = [Image.fromarray(array) for array in (RGB, 255 - RGB)]
    lossless = {"lossless": True} if suffix == ".webp" else {}
    path = tmp_path / f"a{suffix}"
    frames[0].save(path, save_all=True, append_images=frames[1:], **lossless)
    array, notes = read_image(path)
    assert np.abs(array.astype(int) - RGB).mean() < np.abs(array.astype(int) - 255 + RGB).mean() / 4
    assert f"{path}: 2 pages, the first was used" in notes
