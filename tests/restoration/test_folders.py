import errno
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deblur_zoo.files import pictures
from deblur_zoo.restoration.photo import RestoredPhoto
from deblur_zoo.restoration.restorer import Restorer


def crops(model, **options):
    return Restorer(model, crops=True, **options)


def random_pixels(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def by_hand(model, pixels):
    """What the model makes of a single uint8 RGB picture."""
    return np.rint(np.asarray(model(pixels[None].astype(np.float32) / 255))[0] * 255).astype(np.uint8)


class Folded:
    """A stand-in for a network, whose results are known; records the shapes of its batches."""

    name = "folded"

    def __init__(self):
        self.batches = []

    def run(self, rgb):
        assert rgb.dtype == np.float32
        self.batches.append(rgb.shape[:3])
        return np.abs(rgb - 50 / 255)


def folded(pixels):
    return np.abs(pixels.astype(int) - 50).astype(np.uint8)


def test_restore_is_what_the_model_makes_of_each_picture(tiny_model):
    batch = random_pixels(5, 9, 7, 3)
    restored = crops(tiny_model, batch_size=2).restore(batch).pixels
    for picture, result in zip(batch, restored, strict=True):
        np.testing.assert_allclose(result.astype(int), by_hand(tiny_model, picture), atol=1)
    assert np.abs(restored.astype(int) - batch).mean() > 2, "the network must change the picture for this to be a test"
    np.testing.assert_array_equal(tiny_model.deblur(batch), restored)


def test_several_passes_are_the_model_of_the_model(tiny_model):
    """The second pass is given what the first one gave before rounding: one grey level of rounding in all."""
    picture = random_pixels(2, 9, 7, 3)
    once = np.asarray(tiny_model(picture.astype(np.float32) / 255))
    twice = 255 * np.asarray(tiny_model(once))
    for restored in (tiny_model.deblur(picture, passes=2), crops(tiny_model, passes=2).restore(picture).pixels):
        np.testing.assert_allclose(restored, twice, atol=0.51)
    assert np.abs(twice - 255 * once).mean() > 1
    np.testing.assert_array_equal(tiny_model.deblur(picture, passes=1), tiny_model.deblur(picture))


@pytest.mark.parametrize("passes", [0, -1, 1.5, True, "2"])
def test_passes_that_are_no_number(tiny_model, passes):
    with pytest.raises(ValueError, match="at least 1"):
        tiny_model.deblur(random_pixels(4, 4, 3), passes=passes)
    with pytest.raises(ValueError, match="at least 1"):
        crops(tiny_model, passes=passes)


def test_a_picture_alone_and_in_a_batch_give_the_same(tiny_model):
    batch = np.random.default_rng(0).uniform(size=(8, 13, 10, 3)).astype(np.float32)
    together = np.asarray(tiny_model(batch))
    for index in (0, 3, 7):
        np.testing.assert_allclose(np.asarray(tiny_model(batch[index : index + 1]))[0], together[index], atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 1), (1, 1, 3), (2, 5, 1), (4, 3, 4), (3, 1, 9, 4), (2, 6, 6, 1)])
def test_every_shape_comes_back(shape):
    pixels = random_pixels(*shape)
    restored = crops(Folded()).restore(pixels).pixels
    expected = folded(pixels)
    if shape[-1] == 4:
        expected[..., 3] = pixels[..., 3]
    np.testing.assert_array_equal(restored, expected)


def test_the_smallest_pictures_go_through_a_real_network(tiny_model):
    for shape in ((1, 1, 3), (1, 2), (2, 3, 1, 4)):
        assert crops(tiny_model).restore(random_pixels(*shape)).pixels.shape == shape


def test_a_preset_by_directory(tiny_preset, tiny_model):
    pixels = random_pixels(8, 8, 3)
    np.testing.assert_array_equal(crops(tiny_preset).restore(pixels).pixels, crops(tiny_model).restore(pixels).pixels)


@pytest.mark.parametrize("batch_size", [0, -1, 1.5, "2"])
def test_batch_size_is_checked(batch_size):
    with pytest.raises(ValueError, match="batch_size"):
        crops(Folded(), batch_size=batch_size)


def test_batches_shrink_for_large_pictures():
    model = Folded()
    crops(model, batch_size=4).restore(np.zeros((3, 300, 600, 1), np.uint8))
    # 4 * 256 * 256 pixels hold one picture of 300 * 600, and not two.
    assert model.batches == [(1, 300, 600)] * 3
    crops(model, batch_size=1).restore(np.zeros((1000, 1000), np.uint8))
    assert model.batches[-1] == (1, 1000, 1000)


def test_restore_file(tmp_path):
    pixels = random_pixels(6, 5, 3)
    pictures.write(tmp_path / "in.png", pixels)
    restorer = crops(Folded())
    assert restorer.restore_file(tmp_path / "in.png", tmp_path / "out.webp") == tmp_path / "out.webp"
    np.testing.assert_array_equal(pictures.read(tmp_path / "out.webp"), folded(pixels))
    (tmp_path / "folder").mkdir()
    assert restorer.restore_file(tmp_path / "in.png", tmp_path / "folder") == tmp_path / "folder" / "in.png"
    np.testing.assert_array_equal(pictures.read(tmp_path / "folder" / "in.png"), folded(pixels))


def test_restore_file_protects_its_input(tmp_path):
    pictures.write(tmp_path / "in.png", random_pixels(6, 5, 3))
    (tmp_path / "link").symlink_to(tmp_path)
    restorer = crops(Folded())
    for target in (tmp_path / "in.png", tmp_path, tmp_path / "link" / "in.png"):
        with pytest.raises(ValueError, match="own result"):
            restorer.restore_file(tmp_path / "in.png", target)
    np.testing.assert_array_equal(pictures.read(tmp_path / "in.png"), random_pixels(6, 5, 3))
    restorer.restore_file(tmp_path / "in.png", tmp_path / "in.png", overwrite=True)
    np.testing.assert_array_equal(pictures.read(tmp_path / "in.png"), folded(random_pixels(6, 5, 3)))


def test_restore_file_checks_the_ending_before_it_works(tmp_path):
    pictures.write(tmp_path / "in.png", random_pixels(6, 5, 3))
    model = Folded()
    with pytest.raises(ValueError, match="out.txt' must end in"):
        crops(model).restore_file(tmp_path / "in.png", tmp_path / "out.txt")
    assert model.batches == []


@pytest.fixture
def folder(tmp_path):
    """Pictures of two sizes in sub-folders, a damaged one and files that are none."""
    source = tmp_path / "in"
    for index in range(5):
        (source / "people" / "a").mkdir(parents=True, exist_ok=True)
        pictures.write(source / "people" / "a" / f"{index}.png", random_pixels(6, 5, 3, seed=index))
    pictures.write(source / "grey.webp", random_pixels(7, 3, seed=9))
    pictures.write(source / "alpha.tiff", random_pixels(6, 5, 4, seed=10))
    Image.fromarray(random_pixels(16, 16, 3)).save(source / "photo.jpg")
    (source / "damaged.png").write_bytes((source / "people" / "a" / "0.png").read_bytes()[:60])
    (source / "notes.txt").write_text("no picture")
    return source


def test_restore_folder(folder, tmp_path):
    model, calls = Folded(), []
    report = crops(model, batch_size=4).restore_folder(folder, tmp_path / "out", lambda *call: calls.append(call))
    written = sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.*"))
    assert written == ["alpha.tiff", "grey.webp", *(f"people/a/{i}.png" for i in range(5)), "photo.jpg"]
    assert sorted(report.restored) == sorted(tmp_path / "out" / name for name in written)
    for index in range(5):
        result = pictures.read(tmp_path / "out" / "people" / "a" / f"{index}.png")
        np.testing.assert_array_equal(result, folded(random_pixels(6, 5, 3, seed=index)))
    np.testing.assert_array_equal(
        pictures.read(tmp_path / "out" / "grey.webp")[..., 0], folded(random_pixels(7, 3, seed=9))
    )
    alpha = pictures.read(tmp_path / "out" / "alpha.tiff")
    np.testing.assert_array_equal(alpha[..., 3], random_pixels(6, 5, 4, seed=10)[..., 3])
    ((path, reason),) = report.failed
    assert path == folder / "damaged.png" and "damaged" in reason
    # Six pictures of 6x5 in batches of four; the others alone.
    assert sorted(model.batches) == [(1, 7, 3), (1, 16, 16), (2, 6, 5), (4, 6, 5)]
    assert calls[0] == (0, 9) and calls[-1] == (9, 9) and calls == sorted(calls)


def test_pictures_of_many_sizes_do_not_pile_up(tmp_path, monkeypatch):
    (tmp_path / "in").mkdir()
    for index in range(12):
        pictures.write(tmp_path / "in" / f"{index:02}.png", np.zeros((256, 256 - index), np.uint8))
    model, done_when_read, load = Folded(), [], pictures.load
    monkeypatch.setattr(pictures, "load", lambda *args: done_when_read.append(len(model.batches)) or load(*args))
    crops(model, batch_size=2).restore_folder(tmp_path / "in", tmp_path / "out")
    # Four batches of two 256x256 pictures may wait; the ninth picture pushes the first one out.
    assert done_when_read == [0] * 9 + [1, 2, 3] and len(model.batches) == 12


def test_restore_folder_protects_its_input(folder, tmp_path):
    before = {path: path.read_bytes() for path in folder.rglob("*.*")}
    with pytest.raises(ValueError, match="is read and would be overwritten"):
        crops(Folded()).restore_folder(folder, folder)
    assert {path: path.read_bytes() for path in folder.rglob("*.*")} == before
    report = crops(Folded()).restore_folder(folder, folder, overwrite=True)
    assert len(report.restored) == 8
    np.testing.assert_array_equal(pictures.read(folder / "people/a/0.png"), folded(random_pixels(6, 5, 3)))


def test_results_within_the_source_are_not_read_again(folder):
    for _ in range(2):
        report = crops(Folded()).restore_folder(folder, folder / "restored", overwrite=True)
        assert len(report.restored) == 8 and len(report.failed) == 1
    np.testing.assert_array_equal(pictures.read(folder / "restored/people/a/0.png"), folded(random_pixels(6, 5, 3)))


def test_a_result_that_would_replace_another_input_is_refused(tmp_path):
    (tmp_path / "a" / "a").mkdir(parents=True)
    for place in ("a", "a/a"):
        pictures.write(tmp_path / place / "x.png", random_pixels(2, 2))
    with pytest.raises(ValueError, match="is read and would be overwritten"):
        crops(Folded()).restore_folder(tmp_path / "a", tmp_path)


def test_results_that_are_no_picture_are_reported(folder, tmp_path):
    class Broken(Folded):
        def run(self, rgb):
            return super().run(rgb) * (np.nan if rgb.shape[1] == 7 else 1)

    report = crops(Broken()).restore_folder(folder, tmp_path / "out")
    assert [path.name for path, _ in report.failed] == ["damaged.png", "grey.webp"]
    assert "NaN" in report.failed[1][1] and not (tmp_path / "out" / "grey.webp").exists()


def test_folders_that_cannot_be_used(folder, tmp_path):
    restorer = crops(Folded())
    with pytest.raises(FileNotFoundError, match="no folder"):
        restorer.restore_folder(tmp_path / "absent", tmp_path / "out")
    with pytest.raises(NotADirectoryError, match="need a folder"):
        restorer.restore_folder(folder, folder / "photo.jpg")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="no pictures"):
        restorer.restore_folder(tmp_path / "empty", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_one_bad_file_fails_alone(tmp_path):
    source, long = tmp_path / "in", "n" * 251 + ".png"
    source.mkdir()
    for name in ("a.png", "z.png", long):
        pictures.write(source / name, random_pixels(6, 5, 3))
    with open(os.fsencode(source) + b"/\xff.png", "wb") as file:
        file.write((source / "a.png").read_bytes())
    (source / "loop.png").symlink_to("loop.png")
    (source / "broken.png").symlink_to("absent.png")
    os.mkfifo(source / "pipe.png")
    Image.new("1", (2049, 2048)).save(source / "large.png")
    report = crops(Folded()).restore_folder(source, tmp_path / "out")
    failed = {path.name: reason for path, reason in report.failed}
    assert failed.keys() == {"loop.png", "broken.png", "pipe.png", "large.png"}
    for name, words in {
        "loop.png": "symbolic links",
        "broken.png": "no file",
        "pipe.png": "a pipe, a device or a socket",
        "large.png": "2049x2048 pixels, more than the 4,194,304",
    }.items():
        assert words in failed[name]
    assert sorted(os.fsencode(path.name) for path in (tmp_path / "out").iterdir()) == sorted(
        [b"a.png", b"z.png", long.encode(), b"\xff.png"]
    )
    assert crops(Folded(), maximum_pixels=2049 * 2048).restore(source / "large.png").pixels.shape == (2048, 2049)


def test_a_picture_for_which_the_memory_does_not_suffice_fails_alone(tmp_path):
    (tmp_path / "in").mkdir()
    for name, shape in (("a.png", (6, 5)), ("b.png", (7, 5)), ("c.png", (6, 5))):
        pictures.write(tmp_path / "in" / name, random_pixels(*shape))

    class ResourceExhaustedError(Exception):
        pass

    class Hungry(Folded):
        def run(self, rgb):
            if rgb.shape[1] == 7:
                raise ResourceExhaustedError("OOM when allocating tensor")
            return super().run(rgb)

    report = crops(Hungry()).restore_folder(tmp_path / "in", tmp_path / "out")
    assert [path.name for path in report.restored] == ["a.png", "c.png"]
    ((path, reason),) = report.failed
    assert path.name == "b.png" and "more memory than there is" in reason


def test_a_result_that_cannot_be_written_fails_alone_but_a_full_disk_ends_the_run(folder, tmp_path, monkeypatch):
    write_bytes = Path.write_bytes

    def failing(number):
        def write(path, data):
            if path.name.endswith("1.png"):
                raise OSError(number, os.strerror(number))
            return write_bytes(path, data)

        monkeypatch.setattr(Path, "write_bytes", write)
        return crops(Folded()).restore_folder(folder, tmp_path / "out")

    report = failing(errno.EINVAL)
    assert len(report.restored) == 7
    assert [path.name for path, _ in report.failed] == ["damaged.png", "1.png"]
    with pytest.raises(OSError, match="No space left on device.*people/a/1.png"):
        failing(errno.ENOSPC)
    assert not list((tmp_path / "out").rglob(".partial-*"))


def test_linked_folders_are_restored_and_other_files_named(folder, tmp_path, caplog):
    (tmp_path / "disk").mkdir()
    pictures.write(tmp_path / "disk" / "far.png", random_pixels(6, 5, 3))
    (folder / "linked").symlink_to(tmp_path / "disk")
    (folder / "IMG_1.CR2").touch()
    report = crops(Folded()).restore_folder(folder, tmp_path / "out")
    assert tmp_path / "out" / "linked" / "far.png" in report.restored
    assert "1 .cr2" in caplog.text and "IMG_1.CR2" in caplog.text


def test_a_file_keeps_its_colour_profile(colour_profiles, tmp_path):
    (tmp_path / "in").mkdir()
    profile = colour_profiles.rgb_profile(colour_profiles.DISPLAY_P3, 2.2)
    Image.new("RGB", (8, 8), (255, 0, 0)).save(tmp_path / "in" / "a.png", icc_profile=profile)

    class Same(Folded):
        def run(self, rgb):
            return rgb

    same = crops(Same())
    same.restore_folder(tmp_path / "in", tmp_path / "folder")
    same.restore_file(tmp_path / "in" / "a.png", tmp_path / "one.jpg")
    with Image.open(tmp_path / "folder" / "a.png") as image:
        assert image.getpixel((0, 0)) == (255, 0, 0) and image.info["icc_profile"] == profile
    with Image.open(tmp_path / "one.jpg") as image:
        assert image.info["icc_profile"] == profile
    # As an array it is sRGB, whose red Display P3's lies beyond.
    np.testing.assert_array_equal(same.restore(tmp_path / "in" / "a.png").pixels[0, 0], [255, 0, 0])


def test_pictures_that_the_model_does_not_take_fail_alone(folder, tmp_path):
    class OneSize(Folded):
        def run(self, rgb):
            if rgb.shape[1:3] != (6, 5):
                raise RuntimeError(f"takes 6x5, not {rgb.shape[1]}x{rgb.shape[2]}\nand more of no use")
            return super().run(rgb)

    report = crops(OneSize(), batch_size=4).restore_folder(folder, tmp_path / "out")
    written = {path.name for path in report.restored}
    assert len(written) == 6 and all((tmp_path / "out").rglob(name) for name in written)
    reasons = {path.name: reason for path, reason in report.failed}
    assert reasons["grey.webp"] == "takes 6x5, not 7x3" and len(report.restored) + len(report.failed) == 9


def test_a_photo_that_may_not_be_read_fails_alone(tmp_path, monkeypatch):
    """Root may read everything, so the system's answers are replaced."""
    access = os.access

    def restore(path, progress):
        if path.name == "b.png":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return RestoredPhoto(pictures.read(path))

    for name in ("a.png", "b.png", "c.png"):
        pictures.write(tmp_path / name, random_pixels(6, 5, 3))
    restorer = Restorer(Folded())
    monkeypatch.setattr(restorer, "restore", restore)
    monkeypatch.setattr(os, "access", lambda path, mode: path.name != "b.png" and access(path, mode))
    report = restorer.restore_folder(tmp_path, tmp_path / "out")
    assert [path.name for path in report.restored] == ["a.png", "c.png"]
    ((path, reason),) = report.failed
    assert path.name == "b.png" and "Permission denied" in reason
    # Where the results may not be written, the next one could not be either.
    monkeypatch.setattr(os, "access", access)
    with pytest.raises(PermissionError):
        restorer.restore_folder(tmp_path, tmp_path / "out", overwrite=True)
