"""HEIC, with the extra "heif", and AVIF, which Pillow reads itself."""

import builtins
import io

import numpy as np
import pytest
from PIL import Image

from deblur_zoo.files import pictures

HEAD = b"\0\0\0\x1cftypheic\0\0\0\0mif1heic"


def photo(format):
    exif = Image.Exif()
    exif[0x010F] = "Acme"
    ramp = np.tile(np.arange(64, dtype=np.uint8)[:, None, None] * 4, (1, 96, 3))
    buffer = io.BytesIO()
    Image.fromarray(ramp).save(buffer, format, exif=exif, quality=95)
    return ramp, buffer.getvalue()


def test_a_heic_picture_without_the_extra_names_it(monkeypatch):
    plain = builtins.__import__

    def without(name, *rest):
        if name == "pillow_heif":
            raise ImportError(name)
        return plain(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ValueError, match=r"The data is a HEIC picture.*deblur-zoo\[heif\]"):
        pictures.decode(HEAD + bytes(100))


@pytest.mark.parametrize("format", ["HEIF", "AVIF"])
def test_pictures_are_read(format):
    if format == "HEIF":
        pytest.importorskip("pillow_heif").register_heif_opener()
    elif ".avif" not in Image.registered_extensions():
        pytest.skip("this Pillow is built without AVIF")
    ramp, data = photo(format)
    np.testing.assert_allclose(pictures.decode(data).astype(int), ramp, atol=8)
    for kept in (0.9, 0.5, 0.02):
        with pytest.raises(ValueError, match="The data is"):
            pictures.decode(data[: int(len(data) * kept)])


def test_their_exif_data_is_read(tmp_path):
    pytest.importorskip("pillow_heif").register_heif_opener()
    (tmp_path / "a.heic").write_bytes(photo("HEIF")[1])
    assert pictures.load(tmp_path / "a.heic").metadata.main == {0x010F: "Acme"}
