import numpy as np
import pytest
from PIL import Image

from deblur_zoo.data.face_store import central_crop, fingerprint, load_faces


def write(path, size=(16, 16), mode="RGB", seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    image = Image.fromarray(pixels).convert(mode)
    image.save(path)
    return np.asarray(image.convert("RGB"))


def test_reads_all_folders_and_names_what_it_skips(tmp_path, caplog):
    first, second = tmp_path / "a", tmp_path / "b"
    first.mkdir()
    second.mkdir()
    expected = [
        write(first / "1.png", seed=1),
        write(first / "2.png", mode="L", seed=2),
        write(second / "3.png", seed=3),
    ]
    (first / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n no picture")
    write(second / "wide.png", size=(20, 16))
    store = load_faces([first, second], minimum_size=16)
    np.testing.assert_array_equal(store.faces, np.stack(expected))
    assert [path.name for path, _ in store.skipped] == ["broken.png", "wide.png"]
    assert "broken.png" in caplog.text and "20x16" in caplog.text
    assert store.fingerprint == fingerprint(store.paths)


def test_what_is_skipped_is_said_in_one_line(tmp_path, caplog):
    for i in range(12):
        write(tmp_path / f"{i:02}.png", size=(16, 16) if i < 7 else (16 + i, 16), seed=i)
    store = load_faces([tmp_path], minimum_size=16)
    assert len(store) == 7 and len(store.skipped) == 5
    (record,) = caplog.records
    line = record.getMessage()
    assert line.startswith("skipped 5 of the 12 pictures in ") and line.endswith("and 2 more)")
    assert all(name in line for name in ("07.png", "08.png", "09.png")) and "10.png" not in line


@pytest.mark.parametrize(
    ("sizes", "count"),
    [
        # Photos of many sizes, five of which happen to be the same.
        ([(16, 16)] * 5 + [(20 + i, 16) for i in range(7)], 7),
        # One camera's photos: all of one size, and no squares.
        ([(24, 16)] * 4, 4),
    ],
)
def test_photos_that_are_not_aligned_are_refused(sizes, count, tmp_path, caplog):
    for i, size in enumerate(sizes):
        write(tmp_path / f"{i}.png", size=size, seed=i)
    words = rf"{count} of the {len(sizes)} pictures .* not aligned crops.*python -m deblur_zoo\.faces"
    with pytest.raises(ValueError, match=words):
        load_faces([tmp_path], minimum_size=16)
    assert not caplog.records


def test_exclude_and_limit(tmp_path):
    for i in range(4):
        write(tmp_path / f"{i}.png", seed=i)
    store = load_faces([tmp_path], minimum_size=16, limit=2, exclude=lambda path: path.name == "0.png")
    assert [path.name for path in store.paths] == ["1.png", "2.png"]


def test_refusals(tmp_path):
    with pytest.raises(FileNotFoundError, match="no images"):
        load_faces([tmp_path])
    (tmp_path / "x.png").write_bytes(b"nothing")
    with pytest.raises(FileNotFoundError, match="could be read"):
        load_faces([tmp_path])
    write(tmp_path / "y.png")
    with pytest.raises(ValueError, match="16x16.*at least 128x128"):
        load_faces([tmp_path])


def test_fingerprint_is_of_contents_not_of_names_or_order(tmp_path):
    for name, content in (("a", b"1"), ("b", b"2"), ("c", b"2")):
        (tmp_path / name).write_bytes(content)
    a, b, c = (tmp_path / name for name in "abc")
    assert fingerprint([a, b]) == fingerprint([c, a])
    assert fingerprint([a, b]) != fingerprint([a])
    # { printf 1 | sha256sum | cut -c-64; printf 2 | sha256sum | cut -c-64; } | sha256sum
    assert fingerprint([b, a]) == "e7288ff80eff6cea59e0d4bcc00cca3290a943fe472721502a797b374446f592"


def test_central_crop():
    faces = np.random.default_rng(0).integers(0, 256, (2, 160, 160, 3), dtype=np.uint8)
    np.testing.assert_array_equal(central_crop(faces), faces[:, 16:144, 16:144])
    np.testing.assert_array_equal(central_crop(faces[:, :128, :128]), faces[:, :128, :128])
    for bad in (faces[:, :, :140], faces[:, :100, :100], faces[:, :131, :131]):
        with pytest.raises(ValueError, match="128x128"):
            central_crop(bad)
