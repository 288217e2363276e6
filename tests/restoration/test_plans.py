"""Which files a run reads and how its results are called; what it leaves alone."""

import numpy as np
import pytest

from deblur_zoo.files import pictures
from deblur_zoo.restoration.folders import plan
from deblur_zoo.restoration.restorer import Restorer


class Folded:
    name = "folded"

    def run(self, rgb):
        return np.abs(rgb - 50 / 255)


def folded(pixels):
    return np.abs(pixels.astype(int) - 50).astype(np.uint8)


def restorer():
    return Restorer(Folded(), crops=True)


def random_pixels(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@pytest.fixture
def folder(tmp_path):
    source = tmp_path / "in"
    (source / "people" / "a").mkdir(parents=True)
    for index in range(5):
        pictures.write(source / "people" / "a" / f"{index}.png", random_pixels(6, 5, 3, seed=index))
    pictures.write(source / "grey.webp", random_pixels(7, 3, seed=9))
    (source / "damaged.png").write_bytes((source / "people" / "a" / "0.png").read_bytes()[:60])
    return source


def test_results_of_several_inputs_go_under_their_own_names(folder, tmp_path):
    pictures.write(tmp_path / "other.png", random_pixels(4, 4, 3))
    names = sorted(path.relative_to(folder) for path in plan([folder], tmp_path / "out"))
    out = tmp_path / "out"
    expected = {folder / name: out / folder.name / name for name in names} | {tmp_path / "other.png": out / "other.png"}
    assert plan([folder, str(tmp_path / "other.png")], out) == expected
    # Results of an earlier time, within a folder that is read, are not read again.
    (folder / "out" / folder.name).mkdir(parents=True)
    pictures.write(folder / "out" / folder.name / "earlier.png", random_pixels(4, 4, 3))
    assert set(plan([folder, tmp_path / "other.png"], folder / "out")) == set(expected)


def test_several_inputs_that_cannot_be(folder, tmp_path):
    one, same = tmp_path / "one.png", tmp_path / "sub" / "one.png"
    same.parent.mkdir()
    for path in (one, same, tmp_path / "two.png"):
        pictures.write(path, random_pixels(4, 4, 3))
    for sources, target, error, words in [
        ([one, same], "out", ValueError, f"{one} and {same} would both"),
        ([tmp_path / "sub", same], "out", ValueError, "given twice"),
        ([one, tmp_path / "two.png"], "", ValueError, "would be overwritten"),
        ([one, tmp_path / "two.png"], "one.png", NotADirectoryError, "is a file"),
        ([one, tmp_path / "absent.txt"], "out", ValueError, "must end in"),
    ]:
        with pytest.raises(error, match=words):
            plan(sources, tmp_path / target)
    assert plan([one, one, tmp_path / "two.png"], tmp_path, overwrite=True) == {
        one: one,
        tmp_path / "two.png": tmp_path / "two.png",
    }


def test_a_stopped_run_is_continued_and_nothing_is_replaced(folder, tmp_path):
    out = tmp_path / "out"
    restorer().restore_folder(folder, out)
    (out / "people/a/3.png").unlink()
    (out / "grey.webp").write_text("somebody's")
    calls = []
    report = restorer().restore_folder(folder, out, lambda *call: calls.append(call))
    assert report.restored == [out / "people/a/3.png"] and len(report.skipped) == 5 and calls[-1] == (2, 2)
    assert (out / "grey.webp").read_text() == "somebody's"
    assert len(restorer().restore_folder(folder, out, overwrite=True).restored) == 6
    np.testing.assert_array_equal(pictures.read(out / "grey.webp")[..., 0], folded(random_pixels(7, 3, seed=9)))


def test_restore_file_replaces_nothing(tmp_path):
    pictures.write(tmp_path / "in.png", random_pixels(6, 5, 3))
    (tmp_path / "out.png").write_text("somebody's")
    with pytest.raises(FileExistsError, match="out.png exists already"):
        restorer().restore_file(tmp_path / "in.png", tmp_path / "out.png")
    assert (tmp_path / "out.png").read_text() == "somebody's"
    restorer().restore_file(tmp_path / "in.png", tmp_path / "out.png", overwrite=True)
    np.testing.assert_array_equal(pictures.read(tmp_path / "out.png"), folded(random_pixels(6, 5, 3)))


def test_names_of_results(tmp_path):
    source, out = tmp_path / "in", tmp_path / "out"
    for name in ("a.jpg", "a.heic", "b.AVIF", "sub/c.png", "sub/d_new.png"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).touch()

    def names(**options):
        jobs = plan([source], out, **options)
        return {path.relative_to(source).as_posix(): jobs[path].relative_to(out).as_posix() for path in jobs}

    both = {"sub/c.png": "sub/c.png", "sub/d_new.png": "sub/d_new.png"}
    assert names() == {"a.jpg": "a.jpg", "a.heic": "a.heic.jpg", "b.AVIF": "b.jpg"} | both
    assert names(suffix="_new") == {
        "a.jpg": "a_new.jpg",
        "a.heic": "a.heic_new.jpg",
        "b.AVIF": "b_new.jpg",
        "sub/c.png": "sub/c_new.png",
    }
    assert names(ending=".png") == {"a.jpg": "a.jpg.png", "a.heic": "a.heic.png", "b.AVIF": "b.png"} | both
    pictures.write(source / "sub" / "c.png", random_pixels(2, 2))
    (out / "there").mkdir(parents=True)
    one = source / "sub" / "c.png"
    assert plan([one], out / "there", suffix="_x", ending=".tif") == {one: out / "there" / "c_x.tif"}
    # With a suffix, results may lie beside their photos.
    assert plan([source], source, suffix="_new")[one] == source / "sub" / "c_new.png"


@pytest.mark.parametrize(
    ("target", "options", "words"),
    [
        ("out.png", {"suffix": "_x"}, "need a folder"),
        ("out.png", {"ending": ".png"}, "need a folder"),
        ("out/", {"ending": ".gif"}, "must end in"),
        ("out/", {"suffix": "/../x"}, "suffix"),
    ],
)
def test_names_that_cannot_be(tmp_path, target, options, words):
    pictures.write(tmp_path / "a.png", random_pixels(2, 2))
    with pytest.raises(ValueError, match=words):
        plan([tmp_path / "a.png"], f"{tmp_path}/{target}", **options)


def test_a_slash_at_the_end_makes_a_folder(tmp_path):
    pictures.write(tmp_path / "in.png", random_pixels(4, 4, 3))
    target = f"{tmp_path / 'new' / 'deeper'}/"
    written = tmp_path / "new" / "deeper" / "in.png"
    assert plan([tmp_path / "in.png"], target) == {tmp_path / "in.png": written} and not written.parent.exists()
    assert restorer().restore_file(tmp_path / "in.png", target) == written and written.is_file()
    with pytest.raises(NotADirectoryError, match="is a file"):
        restorer().restore_file(tmp_path / "in.png", f"{tmp_path / 'in.png'}/")
