import io

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms

from deblur_zoo.files import pictures

# Linear Display P3 and Adobe RGB to linear sRGB, all with white D65: published constants, rounded.
P3_TO_SRGB = np.array([[1.2249, -0.2247, 0], [-0.0420, 1.0419, 0], [-0.0197, -0.0786, 1.0979]])
ADOBE_TO_SRGB = np.array([[1.3984, -0.3984, 0], [0, 1, 0], [0, -0.0429, 1.0429]])
ADOBE_GAMMA = 2.19921875


def encoded(linear):
    """sRGB's curve (IEC 61966-2-1), to levels of 255; colours outside are clipped."""
    linear = np.clip(linear, 0, 1)
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def smooth_colours():
    """All kinds of colours: red, green and blue change along the two axes and with their product."""
    x, y = np.meshgrid(np.arange(0, 256, 5), np.arange(0, 256, 5))
    return np.stack([x, y, 255 - (x * y) // 255], axis=-1).astype(np.uint8)


def file_with(pixels, profile, format="PNG"):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format, icc_profile=profile)
    return buffer.getvalue()


def shown(path):
    """A file's pixels as a viewer that obeys profiles shows them, in sRGB."""
    with Image.open(path) as image:
        if image.info.get("icc_profile"):
            source = ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"]))
            image = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), renderingIntent=1)
        return np.asarray(image.convert("RGB")).astype(int)


@pytest.mark.parametrize("name", ["p3", "adobe"])
@pytest.mark.parametrize("format", ["PNG", "TIFF", "WEBP"])
def test_wide_colours_become_srgb_as_computed_by_hand(colour_profiles, name, format):
    primaries, matrix, gamma = {
        "p3": (colour_profiles.DISPLAY_P3, P3_TO_SRGB, 2.2),
        "adobe": (colour_profiles.ADOBE_RGB, ADOBE_TO_SRGB, ADOBE_GAMMA),
    }[name]
    pixels = smooth_colours()
    options = {"lossless": True} if format == "WEBP" else {}
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format, icc_profile=colour_profiles.rgb_profile(primaries, gamma), **options)
    expected = encoded((pixels / 255) ** gamma @ matrix.T)
    # Half a level of rounding, and as much for tables of 8 bits and constants of four digits; near black sRGB's curve
    # and a power differ steeply.
    np.testing.assert_allclose(pictures.decode(buffer.getvalue()), expected, atol=1.6)
    assert np.abs(pixels - expected).max() > 25, "the profile must matter for this to be a test"


def test_a_jpeg_and_a_pil_image_are_converted_too(colour_profiles):
    profile = colour_profiles.rgb_profile(colour_profiles.DISPLAY_P3, 2.2)
    # One colour: its JPEG is off by rounding only.
    pixels = np.full((16, 16, 3), (200, 90, 60), np.uint8)
    expected = encoded((np.array([200, 90, 60]) / 255) ** 2.2 @ P3_TO_SRGB.T)
    data = file_with(pixels, profile, "JPEG")
    np.testing.assert_allclose(pictures.decode(data)[8, 8], expected, atol=4)
    with Image.open(io.BytesIO(file_with(pixels, profile))) as image:
        np.testing.assert_allclose(pictures.load(image).rgb[0, 8, 8] * 255, expected, atol=1.6)


def test_alpha_and_orientation_stay_as_they_are(colour_profiles):
    pixels = np.zeros((2, 3, 4), np.uint8)
    pixels[..., :3] = (200, 90, 60)
    pixels[..., 3] = np.arange(6).reshape(2, 3)
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    profile = colour_profiles.rgb_profile(colour_profiles.DISPLAY_P3, 2.2)
    Image.fromarray(pixels).save(buffer, "PNG", icc_profile=profile, exif=exif)
    read = pictures.decode(buffer.getvalue())
    np.testing.assert_array_equal(read[..., 3], [[3, 0], [4, 1], [5, 2]])
    expected = encoded((np.array([200, 90, 60]) / 255) ** 2.2 @ P3_TO_SRGB.T)
    np.testing.assert_allclose(read[..., :3], np.broadcast_to(expected, (3, 2, 3)), atol=1.6)


def test_grey_profiles(colour_profiles, tmp_path):
    pixels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    expected = encoded((pixels / 255) ** 1.8)
    data = file_with(pixels, colour_profiles.grey_profile(1.8))
    np.testing.assert_allclose(pictures.decode(data), expected, atol=1.6)
    wide = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16)
    (tmp_path / "wide.png").write_bytes(file_with(wide, colour_profiles.grey_profile(1.8)))
    picture = pictures.load(tmp_path / "wide.png")
    np.testing.assert_allclose(picture.rgb[0, ..., 1] * 255, encoded((wide / 65535) ** 1.8), atol=1.6)
    # A grey picture may carry the profile of a camera's colours: their greys.
    data = file_with(pixels, colour_profiles.rgb_profile(colour_profiles.DISPLAY_P3, 1.8))
    np.testing.assert_allclose(pictures.decode(data), expected, atol=1.6)


def test_cmyk_follows_its_profile(colour_profiles):
    cyan = (40, 120, 200)
    lab = {(0, 0, 0, 0): (100, 0, 0), (1, 0, 0, 0): colour_profiles.lab(cyan)}
    image = Image.new("CMYK", (16, 16))
    image.paste((255, 0, 0, 0), (8, 0, 16, 16))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=100, icc_profile=colour_profiles.cmyk_profile(lab))
    assert b"Adobe" in buffer.getvalue(), "inverted, as Adobe does it"
    read = pictures.decode(buffer.getvalue())
    np.testing.assert_allclose(read[8, 2], [255, 255, 255], atol=3)
    # The profile's Lab is in 8 bits.
    np.testing.assert_allclose(read[8, 13], cyan, atol=4)
    without = io.BytesIO()
    image.save(without, "JPEG", quality=100)
    assert np.abs(pictures.decode(without.getvalue())[8, 13].astype(int) - cyan).max() > 40


@pytest.mark.parametrize("format", ["png", "jpg", "webp", "tiff"])
def test_results_keep_the_profile_and_the_colours(colour_profiles, tmp_path, format):
    profile = colour_profiles.rgb_profile(colour_profiles.DISPLAY_P3, 2.2)
    pixels = smooth_colours()
    (tmp_path / "in.png").write_bytes(file_with(pixels, profile))
    picture = pictures.load(tmp_path / "in.png")
    darker = 0.9 * picture.rgb
    picture.save(tmp_path / f"out.{format}", darker)
    with Image.open(tmp_path / f"out.{format}") as image:
        assert image.info["icc_profile"] == profile
    # Dark levels of sRGB are finer than those of a power, colours outside sRGB are not the network's.
    inside = (picture.rgb[0] > 0.15).all(axis=-1) & (picture.rgb[0] < 1).all(axis=-1)
    off = np.abs(shown(tmp_path / f"out.{format}") - 255 * darker[0])[inside]
    # Conversion there and back rounds twice; JPEG loses more.
    assert off.max() < 3 if format != "jpg" else off.mean() < 3


def test_what_a_network_leaves_alone_comes_back_exactly_even_outside_srgb(colour_profiles, tmp_path):
    profile = colour_profiles.rgb_profile(colour_profiles.DISPLAY_P3, 2.2)
    pixels = np.concatenate([smooth_colours(), np.full((52, 52, 1), 77, np.uint8)], axis=2)
    for name, stored in (("colour", pixels[..., :3]), ("alpha", pixels), ("grey", pixels[..., 0])):
        kept = colour_profiles.grey_profile(1.8) if name == "grey" else profile
        (tmp_path / f"{name}.png").write_bytes(file_with(stored, kept))
        picture = pictures.load(tmp_path / f"{name}.png")
        picture.save(tmp_path / "out.png", picture.rgb)
        with Image.open(tmp_path / "out.png") as image:
            assert image.info["icc_profile"] == kept
            np.testing.assert_array_equal(np.asarray(image), stored)


def test_changed_colours_outside_srgb_leave_no_trace(colour_profiles, tmp_path):
    """Pure P3 red that becomes grey is the grey, without a rest of the red that sRGB cannot hold."""
    profile = colour_profiles.rgb_profile(colour_profiles.DISPLAY_P3, 2.2)
    (tmp_path / "in.png").write_bytes(file_with(np.full((4, 4, 3), (255, 0, 0), np.uint8), profile))
    picture = pictures.load(tmp_path / "in.png")
    picture.save(tmp_path / "out.png", np.full_like(picture.rgb, 0.5))
    assert np.ptp(shown(tmp_path / "out.png"), axis=-1).max() <= 1


def test_formats_without_profiles_get_srgb(colour_profiles, tmp_path):
    colour = colour_profiles.rgb_profile(colour_profiles.DISPLAY_P3, 2.2)
    for name, stored, profile, ending in (
        ("colour", smooth_colours(), colour, "bmp"),
        ("grey", smooth_colours()[..., 0], colour_profiles.grey_profile(1.8), "webp"),
        ("grey_rgb", smooth_colours()[..., 0], colour, "png"),
    ):
        (tmp_path / f"{name}.png").write_bytes(file_with(stored, profile))
        picture = pictures.load(tmp_path / f"{name}.png")
        picture.save(tmp_path / f"out.{ending}", picture.rgb)
        with Image.open(tmp_path / f"out.{ending}") as image:
            assert not image.info.get("icc_profile")
        np.testing.assert_allclose(shown(tmp_path / f"out.{ending}"), 255 * picture.rgb[0], atol=0.51)


def test_arrays_are_srgb(colour_profiles, tmp_path):
    (tmp_path / "in.png").write_bytes(
        file_with(smooth_colours(), colour_profiles.rgb_profile(colour_profiles.DISPLAY_P3, 2.2))
    )
    result = pictures.restored(tmp_path / "in.png", lambda rgb: rgb, 1)
    np.testing.assert_allclose(result, encoded((smooth_colours() / 255) ** 2.2 @ P3_TO_SRGB.T), atol=1.6)


def test_label_maps_are_read_as_they_are_stored(colour_profiles, tmp_path):
    labels = np.arange(11, dtype=np.uint8)[None]
    (tmp_path / "labels.png").write_bytes(file_with(labels, colour_profiles.grey_profile(1.0)))
    assert (pictures.read(tmp_path / "labels.png") != labels).any()
    np.testing.assert_array_equal(pictures.read(tmp_path / "labels.png", as_stored=True), labels)


def test_damaged_and_foreign_profiles_are_refused(colour_profiles):
    pixels = smooth_colours()
    profile = colour_profiles.rgb_profile(colour_profiles.DISPLAY_P3, 2.2)
    for wrong, words in (
        (profile[:200], "damaged"),
        (b"no profile", "damaged"),
        (bytes(128) + profile[128:], "damaged"),
        (colour_profiles.grey_profile(2.2), "for GRAY colours, its pixels are RGB"),
        (colour_profiles.cmyk_profile({}), "for CMYK colours, its pixels are RGB"),
    ):
        with pytest.raises(ValueError, match=f"The data: its colour profile is .*{words}"):
            pictures.decode(file_with(pixels, wrong))
    # A PNG whose compressed profile is broken: Pillow drops it without a word.
    data = bytearray(file_with(pixels, profile))
    start = data.index(b"iCCP")
    data[start + 20 : start + 30] = bytes(10)
    with pytest.raises(ValueError, match="The data"):
        pictures.decode(bytes(data))


def test_altered_bytes_of_a_profile_give_a_picture_or_a_sentence(colour_profiles):
    profile = colour_profiles.rgb_profile(colour_profiles.DISPLAY_P3, 2.2)
    random = np.random.default_rng(0)
    for _ in range(300):
        altered = bytearray(profile)
        for place in random.integers(0, len(profile), 3):
            altered[place] = random.integers(256)
        try:
            pictures.decode(file_with(np.zeros((2, 2, 3), np.uint8), bytes(altered)))
        except ValueError as error:
            assert "profile" in str(error)


def test_adobe_rgb_that_only_exif_data_tells_of_is_refused(colour_profiles):
    """DCF: ColorSpace 65535 (uncalibrated) and interoperability index R03."""
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif).update({0xA001: 0xFFFF, 0xA005: {1: "R03"}})
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), (200, 90, 60)).save(buffer, "JPEG", exif=exif)
    with pytest.raises(ValueError, match="The data: .*Adobe RGB"):
        pictures.decode(buffer.getvalue())
    buffer = io.BytesIO()
    profile = colour_profiles.rgb_profile(colour_profiles.ADOBE_RGB, ADOBE_GAMMA)
    Image.new("RGB", (8, 8), (200, 90, 60)).save(buffer, "JPEG", exif=exif, icc_profile=profile)
    expected = encoded((np.array([200, 90, 60]) / 255) ** ADOBE_GAMMA @ ADOBE_TO_SRGB.T)
    np.testing.assert_allclose(pictures.decode(buffer.getvalue())[4, 4], expected, atol=4)
