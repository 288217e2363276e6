import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from deblur_zoo.face_classes import COMPONENTS, UNKNOWN, FaceClass
from deblur_zoo.files import pictures
from deblur_zoo.files.resumable_folder import read_report
from tests.commands import run_python
from tests.trainers.datasets import toy_mesh as toy
from trainers.datasets.labelling import COLUMNS, combine, label_batch, label_folders, list_faces
from trainers.datasets.mesh_labels import mesh_labels

ROOT = Path(__file__).parents[3]
POINTS = toy.toy_points(32, 4)
DRAWN = mesh_labels(POINTS, (40, 40))


def one_hot(labels, certainty=0.9):
    """Probabilities of a parser that gives each pixel's label ``certainty`` and the other ten the rest."""
    return np.where(np.arange(11) == labels[..., None], certainty, (1 - certainty) / 10)


def toy_mesh(crops, size):
    """Finds the toy's points where a crop's corner is dark, and no face where it is bright."""
    assert size == 32
    return np.repeat(POINTS[None], len(crops), axis=0), np.where(crops[:, 0, 0, 0] < 128, 0.99, 0.2)


def hair_parser(crops):
    """Sees skin in dark pixels and hair in bright ones; takes float pictures in [0, 1]."""
    assert crops.dtype == np.float32 and crops.max() <= 1
    return one_hot(np.where(crops[..., 0] < 0.5, int(FaceClass.SKIN), int(FaceClass.HAIR)))


def test_the_parser_alone():
    labels = np.random.default_rng(0).integers(0, 11, (6, 8))
    probabilities = one_hot(labels, 0.9)
    probabilities[0] = one_hot(labels[0], 0.69)
    result = combine(probabilities, None, 0.7)
    assert result.dtype == np.uint8 and (result[0] == UNKNOWN).all()
    np.testing.assert_array_equal(result[1:], labels[1:])


@pytest.mark.parametrize(
    "seen, in_polygon, outside",
    [
        # What the parser sees everywhere -> the label inside a nose's polygon, and outside all polygons.
        (FaceClass.SKIN, FaceClass.NOSE, FaceClass.SKIN),
        (FaceClass.HAIR, UNKNOWN, FaceClass.HAIR),
        (FaceClass.BACKGROUND, UNKNOWN, FaceClass.BACKGROUND),
        (FaceClass.LEFT_EYE, FaceClass.NOSE, UNKNOWN),
        (FaceClass.NOSE, FaceClass.NOSE, UNKNOWN),
    ],
)
def test_the_rule_of_both(seen, in_polygon, outside):
    result = combine(one_hot(np.full((40, 40), int(seen))), POINTS, 0.7)
    assert set(result[DRAWN == FaceClass.NOSE]) == {in_polygon}
    assert set(result[~np.isin(DRAWN, COMPONENTS)]) == {outside}


def test_an_uncertain_parser_leaves_the_polygons():
    result = combine(one_hot(np.full((40, 40), 10), 0.5), POINTS, 0.7)
    np.testing.assert_array_equal(result, np.where(np.isin(DRAWN, COMPONENTS), DRAWN, UNKNOWN))


def crops(corners):
    made = np.full((len(corners), 40, 40, 3), 50, np.uint8)
    made[:, :2] = np.array(corners, np.uint8)[:, None, None, None]
    return made


def test_a_mesh_that_is_not_trusted():
    both = label_batch(crops([50, 250]), hair_parser, toy_mesh, 0.7, 32)
    assert [origin for _, origin, _ in both] == ["parser and mesh", "parser"]
    assert (both[0][0] == FaceClass.NOSE).any() and not (both[1][0] == FaceClass.NOSE).any()
    assert (both[1][0][:2] == FaceClass.HAIR).all() and (both[1][0][2:] == FaceClass.SKIN).all()
    assert "score 0.200" in both[1][2] and both[0][2] == ""
    alone = label_batch(crops([50, 250]), None, toy_mesh, 0.7, 32)
    np.testing.assert_array_equal(alone[0][0], DRAWN)
    assert alone[0][1:] == ("mesh", "") and alone[1][:2] == (None, "none") and "score 0.200" in alone[1][2]
    assert [row[1:] for row in label_batch(crops([50]), hair_parser, None, 0.7, 32)] == [("parser", "")]


@pytest.fixture
def folders(tmp_path):
    for name, corner in {"a/1": 50, "a/more/2": 250, "a/3": 60, "b/1": 70, "b/4": 80}.items():
        path = tmp_path / f"{name}.webp"
        path.parent.mkdir(parents=True, exist_ok=True)
        pictures.write(path, crops([corner])[0])
    pictures.write(tmp_path / "b/4_label.png", DRAWN)
    (tmp_path / "b/5.png").write_bytes(b"no picture")
    pictures.write(tmp_path / "b/6.png", np.zeros((41, 41, 3), np.uint8))
    return [tmp_path / "a", tmp_path / "b"]


def label(folders, out, mesh=toy_mesh, settings=None, **more):
    return label_folders(folders, out, None, mesh, settings or {"way": 1}, size=32, batch_size=2, **more)


def reported(tmp_path):
    return {face: (origin, why) for face, origin, why in read_report(tmp_path / "out" / "report.tsv", COLUMNS)}


def test_folders(folders, tmp_path):
    rows = label(folders, tmp_path / "out")
    assert {face: origin for face, (origin, _) in rows.items()} == {
        "a/1.webp": "mesh", "a/3.webp": "mesh", "a/more/2.webp": "none", "b/1.webp": "mesh", "b/4.webp": "mesh",
        "b/5.png": "none", "b/6.png": "none",
    }  # fmt: skip
    assert rows["b/5.png"][1].startswith("cannot be used") and "41x41" in rows["b/6.png"][1]
    written = pictures.list_pictures(tmp_path / "out")
    assert [path.relative_to(tmp_path / "out").as_posix() for path in written] == [
        "a/1.png",
        "a/3.png",
        "b/1.png",
        "b/4.png",
    ]
    np.testing.assert_array_equal(pictures.read(written[0]), DRAWN)
    assert reported(tmp_path) == rows


def test_the_training_reader_finds_the_labels(folders, tmp_path):
    from deblur_zoo.data.face_store import load_faces

    label(folders, tmp_path / "out")
    store = load_faces([tmp_path / "a"], minimum_size=32, labels=[tmp_path / "out" / "a"])
    by_name = {path.stem: labels for path, labels in zip(store.paths, store.labels, strict=True)}
    np.testing.assert_array_equal(by_name["1"], DRAWN)
    assert (by_name["2"] == UNKNOWN).all()


def test_a_second_run_goes_on(folders, tmp_path):
    seen = []

    def stops(batch, size):
        if len(seen) == 2:
            raise KeyboardInterrupt
        seen.extend(batch)
        return toy_mesh(batch, size)

    def counts(batch, size):
        seen.extend(batch)
        return toy_mesh(batch, size)

    with pytest.raises(KeyboardInterrupt):
        label(folders, tmp_path / "out", stops)
    with open(tmp_path / "out/report.tsv", "a") as report:
        report.write("b/4.webp\tnone\tno fa")
    (tmp_path / "out/.partial-rest.png").write_bytes(b"half")
    seen.clear()
    rows = label(folders, tmp_path / "out", counts)
    assert len(seen) == 3 and len(rows) == 7
    assert not list((tmp_path / "out").rglob(".partial-*"))
    assert rows == label(folders, tmp_path / "once") == reported(tmp_path)
    # Damaged labels are made again, whole ones and refused faces are not.
    (tmp_path / "out/a/1.png").write_bytes(b"cut")
    seen.clear()
    label(folders, tmp_path / "out", counts)
    assert len(seen) == 1
    np.testing.assert_array_equal(pictures.read(tmp_path / "out/a/1.png"), DRAWN)
    with pytest.raises(ValueError, match="other settings"):
        label(folders, tmp_path / "out", settings={"way": 2})


def test_names_that_would_meet_are_refused(folders, tmp_path):
    with pytest.raises(ValueError, match="different names"):
        list_faces([folders[0], tmp_path / "b" / ".." / "a"])
    pictures.write(tmp_path / "a/1.png", crops([50])[0])
    with pytest.raises(ValueError, match="a/1.png"):
        list_faces(folders)


def test_wrong_calls_give_one_sentence_and_load_nothing_heavy(folders, tmp_path):
    faces, out = str(folders[0]), str(tmp_path / "out")
    (tmp_path / "empty").mkdir()
    cases = [
        (["--out", out, "--mesh", "x"], "--faces is missing"),
        (["--faces", faces, "--mesh", "x"], "--out is missing"),
        (["--faces", faces, "--out", out], "--mesh"),
        (["--faces", str(tmp_path / "nothing"), "--mesh", "x", "--out", out], "nothing"),
        (["--faces", str(tmp_path / "empty"), "--mesh", "x", "--out", out], "empty"),
        (["--faces", f"{faces},{faces}", "--mesh", "x", "--out", out], "different names"),
        (["--faces", faces, "--mesh", "no.tflite", "--out", out], "no.tflite"),
        (["--faces", faces, "--mesh", "x", "--out", out, "--threshold", "2"], "threshold"),
        (["--faces", faces, "--mesh", "x", "--out", out, "more"], "unexpected argument 'more'"),
    ]
    done = subprocess.run(
        [sys.executable, str(ROOT / "tests" / "wrong_calls.py"), "trainers.datasets.label_faces",
         json.dumps([case for case, _ in cases] + [["--help"]])],
        cwd=ROOT, capture_output=True, text=True, timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    results, heavy = json.loads(done.stdout)
    for (arguments, words), (code, error) in zip(cases, results, strict=False):
        assert code == 2 and words in error and len(error.strip().splitlines()) == 1, (arguments, error)
    assert results[-1][0] == 0 and "each pixel" in results[-1][1]
    assert not heavy and not Path(out).exists()


def test_a_parser_preset_from_the_command_line(folders, tmp_path):
    """An untrained parser is never certain enough: every pixel unknown. A preset of another kind is refused."""
    from deblur_zoo.models.face_parser import FaceParser
    from deblur_zoo.zoo.presets import save_preset

    model = FaceParser(widths=(4, 6), scale=1, name="tiny_parser")
    model.build()
    save_preset(model, tmp_path / "parser", "tiny_parser", paper={"title": "A paper"}, license={"code": "Apache-2.0"})
    flags = ("--parser", tmp_path / "parser", "--out", tmp_path / "out", "--size", 32, "--threshold", 1)
    done = run_python("-m", "trainers.datasets.label_faces", "--faces", folders[0], *flags)
    assert done.returncode == 0, done.stderr
    assert "3  labels from parser" in done.stdout and done.stderr == ""
    assert (pictures.read(tmp_path / "out/a/more/2.png") == UNKNOWN).all()
