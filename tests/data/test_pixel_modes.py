"""Every pixel mode of a file becomes RGB by its rule or is refused; images are upright, and warnings name the file."""

import contextlib
import io
import logging
import struct
import threading
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from auglik.data.decoding import PillowWarnings, decode
from auglik.data.pixel_modes import as_rgb
from auglik.objectives.errors import InputError

RANDOM = np.random.default_rng(3)
GREY = RANDOM.integers(0, 256, (5, 7), dtype=np.uint8)
COLOUR = RANDOM.integers(0, 256, (5, 7, 3), dtype=np.uint8)
ALPHA = RANDOM.integers(0, 256, (5, 7), dtype=np.uint8)
ALPHA[0, :2] = 0, 255
DEEP = RANDOM.integers(0, 65536, (5, 7), dtype=np.uint16)
DEEP[0, :6] = 0, 128, 129, 32767, 65406, 65535
Levels = NDArray[np.uint8]


def saved(tmp_path: Path, image: Image.Image, ending: str, **options: object) -> Path:
    path = tmp_path / f"picture.{ending}"
    image.save(path, **options)  # type: ignore[arg-type]
    return path


def read(path: Path) -> Levels:
    """[H,W,3]"""
    return decode(path, lambda image: image).transpose(1, 2, 0)


def grey(values: NDArray[np.generic]) -> Levels:
    return np.repeat(np.asarray(values, np.uint8)[..., None], 3, 2)


def on_white(colours: Levels, alpha: Levels) -> Levels:
    """From the definition, in float64."""
    a = alpha[..., None] / 255
    return np.rint(a * colours + (1 - a) * 255).astype(np.uint8)


def palette(transparency: bytes | int | None) -> tuple[Image.Image, Levels]:
    """A palette image of four colours and its RGB, the first colours being transparent to some degree."""
    indices, colours = (GREY % 4).astype(np.uint8), np.arange(12, dtype=np.uint8).reshape(4, 3) * 20
    image = Image.fromarray(indices).convert("P")
    image.putdata(indices.ravel().tolist())
    image.putpalette(colours.tobytes())
    alpha = np.full(4, 255, np.uint8)
    if isinstance(transparency, bytes):
        alpha[: len(transparency)] = list(transparency)
    elif transparency is not None:
        alpha[transparency] = 0
    if transparency is not None:
        image.info["transparency"] = transparency
    return image, on_white(colours[indices], alpha[indices])


def stacked(*channels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.dstack(channels)


CASES: dict[str, tuple[Callable[[], Image.Image], str, Levels]] = {
    "1 png": (lambda: Image.fromarray(GREY > 99), "png", grey(255 * (GREY > 99))),
    "1 bmp": (lambda: Image.fromarray(GREY > 99), "bmp", grey(255 * (GREY > 99))),
    "L png": (lambda: Image.fromarray(GREY), "png", grey(GREY)),
    "L tiff": (lambda: Image.fromarray(GREY), "tiff", grey(GREY)),
    "L pgm": (lambda: Image.fromarray(GREY), "pgm", grey(GREY)),
    "LA png": (lambda: Image.fromarray(stacked(GREY, ALPHA), "LA"), "png", on_white(grey(GREY), ALPHA)),
    "LA tiff": (lambda: Image.fromarray(stacked(GREY, ALPHA), "LA"), "tif", on_white(grey(GREY), ALPHA)),
    "P": (lambda: palette(None)[0], "png", palette(None)[1]),
    "P with a transparent colour": (lambda: palette(2)[0], "png", palette(2)[1]),
    "P with an alpha of each colour": (lambda: palette(b"\x00\x80")[0], "png", palette(b"\x00\x80")[1]),
    "RGB png": (lambda: Image.fromarray(COLOUR), "png", COLOUR),
    "RGB ppm": (lambda: Image.fromarray(COLOUR), "ppm", COLOUR),
    "RGB webp": (lambda: Image.fromarray(COLOUR), "webp", COLOUR),
    "RGBA png": (lambda: Image.fromarray(stacked(COLOUR, ALPHA)), "png", on_white(COLOUR, ALPHA)),
    "RGBA tiff": (lambda: Image.fromarray(stacked(COLOUR, ALPHA)), "tiff", on_white(COLOUR, ALPHA)),
    "16-bit png": (lambda: Image.fromarray(DEEP), "png", grey(np.rint(DEEP / 257))),
    "16-bit tiff": (lambda: Image.fromarray(DEEP), "tiff", grey(np.rint(DEEP / 257))),
    "16-bit big-endian tiff": (lambda: Image.fromarray(DEEP.astype(">u2")), "tiff", grey(np.rint(DEEP / 257))),
    "16-bit pgm": (lambda: Image.fromarray(DEEP), "pgm", grey(np.rint(DEEP / 257))),
}


@pytest.mark.parametrize("case", CASES)
def test_modes_are_converted_by_their_rules(tmp_path: Path, case: str) -> None:
    make, ending, expected = CASES[case]
    options = {"lossless": True} if ending == "webp" else {}
    path = saved(tmp_path, make(), ending, **options)
    assert np.array_equal(read(path), expected)
    upper = path.with_suffix(f".{ending.upper()}")
    path.rename(upper)
    assert np.array_equal(read(upper), expected)


def test_a_transparent_grey_or_colour_lies_on_white(tmp_path: Path) -> None:
    key = tuple(int(value) for value in COLOUR[1, 2])
    expected = np.where(np.equal(COLOUR, key).all(2, keepdims=True), np.uint8(255), COLOUR)
    assert np.array_equal(read(saved(tmp_path, Image.fromarray(COLOUR), "png", transparency=key)), expected)
    level = int(GREY[1, 2])
    path = saved(tmp_path, Image.fromarray(GREY), "png", transparency=level)
    assert np.array_equal(read(path), grey(np.where(level == GREY, 255, GREY)))
    refused(saved(tmp_path, Image.fromarray(DEEP), "png", transparency=5), "I;16", "a transparent level")


def png(depth: int, colour: int, samples: bytes, width: int, transparent: bytes) -> bytes:
    """A PNG of one row, of a depth that Pillow does not write."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, 1, depth, colour, 0, 0, 0)
    parts = chunk(b"IHDR", head) + chunk(b"tRNS", transparent) + chunk(b"IDAT", zlib.compress(b"\0" + samples))
    return b"\x89PNG\r\n\x1a\n" + parts + chunk(b"IEND", b"")


@pytest.mark.parametrize(("depth", "samples"), [(1, b"\xc0"), (2, b"\x1b"), (4, b"\x01\xf8")])
def test_of_few_bits_the_transparent_level_is_one_of_theirs(tmp_path: Path, depth: int, samples: bytes) -> None:
    width = 8 * len(samples) // depth
    values = [
        int.from_bytes(samples) >> (8 * len(samples) - depth * (place + 1)) & (2**depth - 1) for place in range(width)
    ]
    for level in sorted(set(values)):
        path = tmp_path / f"{depth}-{level}.png"
        path.write_bytes(png(depth, 0, samples, width, struct.pack(">H", level)))
        expected = [255 if value == level else value * 255 // (2**depth - 1) for value in values]
        assert read(path)[0, :, 0].tolist() == expected


def test_a_transparent_colour_of_16_bits_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "deep.png"
    path.write_bytes(
        png(16, 2, struct.pack(">6H", 65535, 0, 0, 4660, 22136, 39612), 2, struct.pack(">3H", 18, 86, 154))
    )
    refused(path, "16-bit colour without a transparent one")


@pytest.mark.parametrize("mode", ["PA", "La", "RGBa", "RGBX"])
def test_modes_that_files_seldom_have(mode: str) -> None:
    if mode == "La":
        image, expected = Image.fromarray(stacked(GREY, ALPHA), "LA").convert("La"), on_white(grey(GREY), ALPHA)
    elif mode == "PA":
        image, expected = palette(None)[0].convert("PA"), palette(None)[1]
    elif mode == "RGBX":
        image, expected = Image.fromarray(COLOUR).convert("RGBX"), COLOUR
    else:
        image, expected = Image.fromarray(stacked(COLOUR, ALPHA)).convert("RGBa"), on_white(COLOUR, ALPHA)
    assert image.mode == mode
    # premultiplied levels are kept in whole numbers, times alpha
    assert np.abs(np.asarray(as_rgb(image)).astype(int) - expected).max() <= 1


def test_ycbcr_and_cmyk_are_their_formulas(tmp_path: Path) -> None:
    y, cb, cr = COLOUR.astype(float).transpose(2, 0, 1) - np.array([0, 128, 128])[:, None, None]
    expected = np.dstack([y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb]).clip(0, 255)
    found = read(saved(tmp_path, Image.frombytes("YCbCr", (7, 5), COLOUR.tobytes()), "tiff"))
    assert np.abs(found - expected).max() <= 2  # Pillow's tables are whole numbers
    ink = stacked(COLOUR, np.zeros_like(GREY))
    assert np.array_equal(read(saved(tmp_path, Image.fromarray(ink, "CMYK"), "tiff")), 255 - COLOUR)
    flat = np.full((16, 16, 3), (200, 60, 20), np.uint8)  # JPEG keeps what does not vary
    for mode in ("RGB", "CMYK"):
        found = read(saved(tmp_path, Image.fromarray(flat).convert(mode), "jpg", quality=100))
        assert np.abs(found.astype(int) - flat).max() <= 3


def refused(path: Path, *parts: str) -> None:
    with pytest.raises(InputError) as caught:
        read(path)
    line = str(caught.value)
    assert line.startswith(f"{path}: expected")
    assert "\n" not in line
    for part in parts:
        assert part in line


def test_modes_without_a_range_are_refused_with_file_and_mode(tmp_path: Path) -> None:
    refused(saved(tmp_path, Image.fromarray(DEEP.astype(np.int32)), "tiff"), "mode I ", "8 or 16 bits")
    refused(saved(tmp_path, Image.fromarray(GREY / np.float32(255)), "tiff"), "mode F ")
    refused(saved(tmp_path, Image.frombytes("LAB", (7, 5), COLOUR.tobytes()), "tiff"), "mode LAB")
    with pytest.raises(InputError, match="mode HSV"):
        as_rgb(Image.fromarray(COLOUR).convert("HSV"))


def tiff(bits: int, photometric: int, data: bytes) -> bytes:
    """A little-endian TIFF of 4x2 grey pixels, written field by field."""
    tags = [
        (256, 4),
        (257, 2),
        (258, bits),
        (259, 1),
        (262, photometric),
        (273, 8),
        (277, 1),
        (278, 2),
        (279, len(data)),
    ]
    directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", tag, 4, 1, v) for tag, v in tags)
    return b"II*\0" + struct.pack("<I", 8 + len(data)) + data + directory + bytes(4)


def test_grey_tiffs_of_12_bits_or_with_white_at_0_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "scan.tif"
    values = np.array([[0, 1, 257, 65535], [300, 5, 6, 7]], "<u2")
    path.write_bytes(tiff(16, 1, values.tobytes()))
    assert np.array_equal(read(path), grey(np.rint(values / 257)))
    path.write_bytes(tiff(16, 0, values.tobytes()))
    refused(path, "I;16", "white at 0")
    path.write_bytes(tiff(12, 1, bytes(range(12))))
    refused(path, "I;16", "12 bits")


def test_animations_and_pages_are_refused_and_a_cameras_previews_are_not(tmp_path: Path) -> None:
    frames = [Image.fromarray(COLOUR), Image.fromarray(255 - COLOUR)]
    for ending in ("tiff", "webp", "png"):
        path = saved(tmp_path, frames[0], ending, save_all=True, append_images=frames[1:])
        refused(path, "single image", "got 2")
    gif = saved(tmp_path, frames[0], "gif", save_all=True, append_images=frames[1:]).rename(tmp_path / "renamed.png")
    refused(gif, "single image", "GIF")
    flat = [Image.fromarray(np.full((16, 16, 3), level, np.uint8)) for level in (40, 200)]
    path = tmp_path / "phone.jpg"
    flat[0].save(path, "MPO", save_all=True, append_images=flat[1:])
    with Image.open(path) as image:
        assert image.format == "MPO"
    assert np.abs(read(path).astype(int) - 40).max() <= 1


TRANSFORMED: dict[int, Callable[[Levels], Levels]] = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a),
}
"""What the EXIF standard says that each orientation asks for, of the stored rows [H,W,3]."""


@pytest.mark.parametrize("ending", ["png", "tiff", "webp"])
@pytest.mark.parametrize("orientation", TRANSFORMED)
def test_images_are_upright(tmp_path: Path, orientation: int, ending: str) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    options = {"lossless": True} if ending == "webp" else {}
    path = saved(tmp_path, Image.fromarray(COLOUR), ending, exif=exif, **options)
    assert np.array_equal(read(path), TRANSFORMED[orientation](COLOUR))


def test_damaged_exif_data_spoil_no_image(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    exif = Image.Exif()
    exif[274] = 1
    whole, random = exif.tobytes(), np.random.default_rng(0)
    for kind in ("png", "webp"):
        for index in range(40):
            damaged = bytearray(whole[: random.integers(1, len(whole))] if index % 2 else whole)
            damaged[random.integers(len(damaged))] ^= 1 + index
            path = saved(tmp_path, Image.fromarray(COLOUR), kind, exif=bytes(damaged), lossless=True)
            assert np.array_equal(np.sort(read(path).ravel()), np.sort(COLOUR.ravel()))  # whichever way is up
    assert "damaged EXIF data" in caplog.text


@pytest.mark.parametrize("case", [name for name in CASES if name.startswith(("RGB", "16", "P "))])
def test_flipped_bytes_end_in_an_image_or_a_line(tmp_path: Path, case: str) -> None:
    make, ending, _ = CASES[case]
    path = saved(tmp_path, make(), ending)
    content, random = path.read_bytes(), np.random.default_rng(1)
    for _ in range(150):
        damaged = bytearray(content)
        damaged[random.integers(len(damaged))] = random.integers(256)
        path.write_bytes(damaged)
        with contextlib.suppress(InputError):  # whatever else is raised fails the test
            assert read(path).dtype == np.uint8


def corrupt_exif(path: Path) -> None:
    """A JPEG whose EXIF ends in the middle of an entry, as some of ImageNet's do."""
    content = io.BytesIO()
    Image.new("RGB", (8, 8), (9, 99, 199)).save(content, "jpeg", exif=b"Exif\0\0II*\0\x08\0\0\0\x05\0\x0f\x01\x02\0")
    path.write_bytes(content.getvalue())


def test_pillows_warnings_are_a_line_with_the_file_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("a.jpg", "b.jpg"):
        corrupt_exif(tmp_path / name)
    own, filters = PillowWarnings(), list(warnings.filters)

    def look(name: str) -> None:
        with own.of(tmp_path / name), Image.open(tmp_path / name) as image:
            as_rgb(image)

    with caplog.at_level(logging.WARNING, "auglik"):
        look("a.jpg")
        look("b.jpg")
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith(f"{tmp_path / 'a.jpg'}: Corrupt EXIF data")
    assert "\n" not in line
    assert list(warnings.filters) == filters
    with pytest.raises(UserWarning, match="Corrupt EXIF"), Image.open(tmp_path / "a.jpg") as image:
        image.getexif()  # outside, they are Python's again


def test_an_image_of_too_many_pixels_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = saved(tmp_path, Image.fromarray(COLOUR), "png")
    monkeypatch.setattr("auglik.data.decoding.WARNINGS", PillowWarnings())
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)
    with caplog.at_level(logging.WARNING, "auglik"):
        assert np.array_equal(read(path), COLOUR)
    assert f"{path}: Image size (35 pixels)" in caplog.text
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    refused(path, "DecompressionBombError")


def test_threads_share_the_filters_and_leave_them_as_they_were(tmp_path: Path) -> None:
    own, filters, show = PillowWarnings(), list(warnings.filters), warnings.showwarning
    inside, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with own.of(tmp_path):
            inside.set()
            leave.wait(5)

    thread = threading.Thread(target=hold)
    with own.of(tmp_path):
        thread.start()
        assert inside.wait(5)
    assert warnings.showwarning != show  # the other thread still decodes
    with pytest.raises(UserWarning, match="mine"):
        warnings.warn("mine", UserWarning, stacklevel=1)
    leave.set()
    thread.join()
    assert list(warnings.filters) == filters
    assert warnings.showwarning == show


def test_a_truncated_file_is_damaged(tmp_path: Path) -> None:
    path = saved(tmp_path, Image.fromarray(COLOUR), "png")
    path.write_bytes(path.read_bytes()[:-30])
    refused(path, "damaged")
