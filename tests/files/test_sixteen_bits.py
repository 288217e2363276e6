"""16 bits a channel, in and out; compared with OpenCV, and with pixels that a test wrote itself."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from deblur_zoo.files import pictures

CHANNELS = [1, 3, 4]


def random_pixels(channels, seed=0):
    shape = (9, 11) if channels == 1 else (9, 11, channels)
    return np.random.default_rng(seed).integers(0, 65536, shape, dtype=np.uint16)


def swapped(pixels):
    """RGB to OpenCV's order of channels and back."""
    return pixels if pixels.ndim == 2 else pixels[..., [2, 1, 0, 3][: pixels.shape[2]]]


@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("ending", [".png", ".tiff"])
def test_files_are_read_in_full(tmp_path, channels, ending):
    pixels = random_pixels(channels)
    cv2.imwrite(str(tmp_path / f"a{ending}"), swapped(pixels))
    picture = pictures.load(tmp_path / f"a{ending}")
    colours = pixels[..., None] if channels == 1 else pixels[..., :3]
    np.testing.assert_array_equal(picture.colours[0], np.broadcast_to(colours, picture.colours.shape[1:]))
    np.testing.assert_allclose(picture.rgb[0], picture.colours[0] / 65535, atol=1e-7)
    assert picture.deep
    np.testing.assert_array_equal(picture.rebuild(picture.rgb, deep=True), pixels)
    np.testing.assert_array_equal(pictures.read(tmp_path / f"a{ending}"), np.rint(pixels / 257))


@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("ending", [".png", ".tiff"])
def test_files_are_written_as_others_read_them(tmp_path, channels, ending):
    pixels = random_pixels(channels)
    pictures.write(tmp_path / f"a{ending}", pixels)
    np.testing.assert_array_equal(swapped(cv2.imread(str(tmp_path / f"a{ending}"), cv2.IMREAD_UNCHANGED)), pixels)
    with Image.open(tmp_path / f"a{ending}") as image:
        read = np.asarray(image)
    # Pillow keeps 16 bits of grey, and the high bytes of colours.
    np.testing.assert_array_equal(read, pixels if channels == 1 else pixels >> 8)


def test_tifffile_reads_our_tiffs(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    pictures.write(tmp_path / "a.tif", random_pixels(3))
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "a.tif"), random_pixels(3))


def test_formats_of_8_bits_get_the_nearest_level(tmp_path):
    pictures.write(tmp_path / "in.png", random_pixels(3))
    picture = pictures.load(tmp_path / "in.png")
    picture.save(tmp_path / "out.bmp", picture.rgb)
    np.testing.assert_array_equal(pictures.read(tmp_path / "out.bmp"), np.rint(random_pixels(3) / 257))
    with pytest.raises(ValueError, match="PNG and TIFF from uint16"):
        pictures.write(tmp_path / "a.webp", random_pixels(3))


@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize("ending", [".png", ".tiff"])
def test_a_profile_and_every_bit_come_back(colour_profiles, tmp_path, grey, ending):
    if grey:
        pixels, profile = random_pixels(1), colour_profiles.grey_profile(1.8)
    else:
        pixels, profile = random_pixels(3), colour_profiles.rgb_profile(colour_profiles.DISPLAY_P3, 2.2)
    (tmp_path / f"in{ending}").write_bytes(pictures.encode(pixels, ending, profile))
    picture = pictures.load(tmp_path / f"in{ending}")
    for result in (picture.rebuild_levels(picture.levels()), picture.rebuild(picture.rgb, deep=True)):
        picture.save_pixels(tmp_path / f"out{ending}", result)
        np.testing.assert_array_equal(cv2.imread(str(tmp_path / f"out{ending}"), cv2.IMREAD_UNCHANGED), swapped(pixels))
        with Image.open(tmp_path / f"out{ending}") as image:
            assert image.info["icc_profile"] == profile


def test_a_changed_picture_in_a_profile(colour_profiles, tmp_path):
    """Each way rounds to a level of 255; the rest of a level is carried over."""
    profile = colour_profiles.rgb_profile(colour_profiles.DISPLAY_P3, 2.2)
    ramp = np.linspace(20_000, 50_000, 1000).astype(np.uint16)
    pixels = np.repeat(ramp[None, :, None], 3, axis=2)
    (tmp_path / "in.png").write_bytes(pictures.encode(pixels, "png", profile))
    picture = pictures.load(tmp_path / "in.png")

    def encoded(linear):
        return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)

    np.testing.assert_allclose(picture.rgb[0, 0, :, 0], encoded((ramp / 65535) ** 2.2), atol=0.7 / 255)
    picture.save(tmp_path / "out.png", 0.99 * picture.rgb)
    written = cv2.imread(str(tmp_path / "out.png"), cv2.IMREAD_UNCHANGED)[0, :, 1]
    target = 0.99 * encoded((ramp / 65535) ** 2.2)
    linear = np.where(target <= 0.04045, target / 12.92, ((target + 0.055) / 1.055) ** 2.4)
    np.testing.assert_allclose(written / 65535, linear ** (1 / 2.2), atol=1.2 / 255)


def test_uint16_arrays_give_16_bits_where_asked():
    pixels = random_pixels(4)
    picture = pictures.load(pixels)
    np.testing.assert_array_equal(picture.rebuild(picture.rgb, deep=True), pixels)
    np.testing.assert_array_equal(picture.rebuild(picture.rgb), np.rint(pixels / 257))


def test_a_file_that_opencv_reads_otherwise_is_read_by_its_high_bytes(monkeypatch):
    pixels = random_pixels(3)
    data = pictures.encode(pixels)
    monkeypatch.setattr(cv2, "imdecode", lambda data, flags: np.zeros((9, 11, 3), np.uint16))
    np.testing.assert_array_equal(pictures.decode(data), pixels >> 8)


@pytest.mark.parametrize("ending", ["png", "tiff"])
@pytest.mark.parametrize("kept", [0.9, 0.5])
def test_truncated_files_are_refused(ending, kept):
    data = pictures.encode(np.random.default_rng(0).integers(0, 65536, (40, 40, 3), dtype=np.uint16), ending)
    with pytest.raises(ValueError, match="The data is damaged"):
        pictures.decode(data[: int(len(data) * kept)])


@pytest.mark.parametrize("orientation", [3, 6])
def test_orientation(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = random_pixels(3)
    data = pictures.encode(pixels)
    eight = io.BytesIO()
    Image.fromarray((pixels >> 8).astype(np.uint8)).save(eight, "PNG", exif=exif)
    chunk = eight.getvalue()
    start = chunk.index(b"eXIf") - 4
    chunk = chunk[start : start + 12 + int.from_bytes(chunk[start : start + 4])]
    upright = pixels[::-1, ::-1] if orientation == 3 else pixels.swapaxes(0, 1)[:, ::-1]
    np.testing.assert_array_equal(pictures.decode(data[:33] + chunk + data[33:]), np.rint(upright / 257))
