"""What a result's file says: EXIF data, resolution, profile; checked with Pillow on files that Pillow wrote."""

import io

import numpy as np
import pytest
from PIL import ExifTags, Image
from PIL.TiffImagePlugin import IFDRational

from deblur_zoo.files import pictures

DETAILS = {
    0x829A: IFDRational(1, 250),
    0x8827: 400,
    0x9000: b"0232",
    0x9003: "2024:01:02 03:04:05",
    0x9204: IFDRational(-1, 3),
    0x927C: b"maker\0\1\2" * 10,
    0xA001: 1,
    0xA434: "A lens",
}
PLACE = {1: "N", 2: (IFDRational(48), IFDRational(8), IFDRational(3000, 100)), 5: b"\0"}
MAIN = {0x010F: "Acme", 0x0132: "2024:01:02 03:04:05", 0x8298: "somebody", 0x9C9B: "hé".encode("utf-16le")}
SIZE = (6, 4)


def photo(format, orientation=1, details=None, **options):
    exif = Image.Exif()
    exif.update(MAIN | {0x0112: orientation})
    for directory, values in ((ExifTags.IFD.Exif, DETAILS | (details or {})), (ExifTags.IFD.GPSInfo, PLACE)):
        exif.get_ifd(directory).update(values)
        exif[directory] = values
    pixels = np.random.default_rng(0).integers(0, 256, (SIZE[1], SIZE[0], 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format, exif=exif, **options)
    return buffer.getvalue()


def result_of(data, tmp_path, ending, deep=False):
    """The file that a photo of these bytes is given back as, opened by Pillow."""
    (tmp_path / "in").write_bytes(data)
    picture = pictures.load(tmp_path / "in")
    picture.save_pixels(tmp_path / f"out{ending}", picture.rebuild(picture.rgb, deep))
    return Image.open(tmp_path / f"out{ending}")


@pytest.mark.parametrize("source", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("ending", [".jpg", ".png", ".webp", ".tiff", "deep.png", "deep.tif"])
def test_exif_data_is_kept(tmp_path, source, ending):
    with result_of(photo(source), tmp_path, ending, deep="deep" in ending) as image:
        exif = image.getexif()
        assert {tag: exif[tag] for tag in MAIN} == MAIN
        assert dict(exif.get_ifd(ExifTags.IFD.Exif)) == DETAILS
        assert dict(exif.get_ifd(ExifTags.IFD.GPSInfo)) == PLACE


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
@pytest.mark.parametrize("ending", [".jpg", ".tiff", "deep.png"])
def test_the_result_is_upright_and_says_so(tmp_path, orientation, ending):
    data = photo("JPEG", orientation, {0xA002: SIZE[0], 0xA003: SIZE[1]}, dpi=(300, 150))
    with result_of(data, tmp_path, ending, deep="deep" in ending) as image:
        upright = SIZE if orientation < 5 else SIZE[::-1]
        assert image.size == upright and image.getexif().get(0x0112, 1) == 1
        details = image.getexif().get_ifd(ExifTags.IFD.Exif)
        assert (details[0xA002], details[0xA003]) == upright
        assert [round(float(value)) for value in image.info["dpi"]] == ([300, 150] if orientation < 5 else [150, 300])


def test_the_old_thumbnail_is_left_out(tmp_path):
    """EXIF data by hand: an empty directory, and a second one with a thumbnail."""
    thumbnail = io.BytesIO()
    Image.new("RGB", (2, 2)).save(thumbnail, "JPEG")
    thumbnail = thumbnail.getvalue()

    def entry(tag, kind, count, value):
        return b"".join(part.to_bytes(size, "little") for part, size in ((tag, 2), (kind, 2), (count, 4), (value, 4)))

    first = (1).to_bytes(2, "little") + entry(0x8827, 3, 1, 100) + (26).to_bytes(4, "little")
    second = (2).to_bytes(2, "little") + entry(0x0201, 4, 1, 56) + entry(0x0202, 4, 1, len(thumbnail)) + bytes(4)
    exif = b"Exif\0\0II*\0\x08\0\0\0" + first + second + thumbnail
    (tmp_path / "in.jpg").write_bytes(photo("JPEG"))
    with Image.open(tmp_path / "in.jpg") as image:
        image.save(tmp_path / "thumbnail.jpg", exif=exif)
    data = (tmp_path / "thumbnail.jpg").read_bytes()
    with Image.open(io.BytesIO(data)) as image:
        assert image.getexif().get_ifd(ExifTags.IFD.IFD1)
    with result_of(data, tmp_path, ".jpg") as image:
        assert not image.getexif().get_ifd(ExifTags.IFD.IFD1)
    assert thumbnail not in (tmp_path / "out.jpg").read_bytes()


def test_a_result_without_the_photos_profile_says_srgb(colour_profiles, tmp_path):
    """Adobe RGB by its profile and by its EXIF data; bare, the result would be refused by our own reader."""
    adobe = {0xA001: 0xFFFF, 0xA005: {1: "R03"}}
    profile = colour_profiles.rgb_profile(colour_profiles.ADOBE_RGB, 2.2)
    (tmp_path / "in.jpg").write_bytes(photo("JPEG", details=adobe, icc_profile=profile))
    picture = pictures.load(tmp_path / "in.jpg")
    assert picture.metadata.exif(True).get_ifd(ExifTags.IFD.Exif)[0xA005] == {1: "R03"}
    bare = picture.metadata.exif(False).get_ifd(ExifTags.IFD.Exif)
    assert bare[0xA001] == 1 and 0xA005 not in bare


def test_a_maker_note_too_large_for_jpeg_is_left_out(tmp_path):
    with result_of(photo("PNG", details={0x927C: b"x" * 70_000}), tmp_path, ".jpg") as image:
        details = dict(image.getexif().get_ifd(ExifTags.IFD.Exif))
        assert details == {tag: value for tag, value in DETAILS.items() if tag != 0x927C}
    with result_of(photo("PNG", details={0x927C: b"", 0x9286: b"x" * 70_000}), tmp_path, ".jpg") as image:
        assert not image.getexif()


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_malformed_exif_data_does_not_lose_the_picture(tmp_path):
    data = photo("JPEG")
    start = data.index(b"Exif\0\0") + 6
    for position in range(start, start + 400, 3):
        altered = bytearray(data)
        altered[position] ^= 0xFF
        picture = pictures.load(pictures.decode(bytes(altered)))
        assert picture.colours.shape[-1] == 3
        with result_of(bytes(altered), tmp_path, ".jpg") as image:
            image.load()


@pytest.mark.parametrize("dpi", [(0, 0), (1e9, 300)])
def test_a_resolution_that_is_none(tmp_path, dpi):
    image = Image.new("RGB", (4, 4))
    image.info["dpi"] = dpi
    assert pictures.load(image).metadata.dpi is None
