import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from deblur_zoo.face_classes import UNKNOWN, FaceClass
from deblur_zoo.faces import journal
from deblur_zoo.faces.alignment import canonical_points, similarity_transform
from deblur_zoo.faces.detection import Face
from deblur_zoo.files import pictures
from tests.trainers.datasets import toy_mesh as toy
from trainers.datasets.labelled_pairs import align_pairs, list_pairs, points_from_labels, read_labels, warp_labels
from trainers.datasets.mesh_labels import mesh_labels

ROOT = Path(__file__).parents[3]

# A picture of 200x180 pixels with a canonical face of 100 pixels whose corner is at (50, 40).
CORNER, SIZE = np.array([50.0, 40.0]), 100
POINTS = canonical_points(SIZE) + CORNER


def drawn_labels():
    """The toy mesh's labels in that picture, hair above, the rest background."""
    labels = mesh_labels(toy.toy_points(SIZE, 0) + CORNER, (180, 200))
    labels[labels == UNKNOWN] = FaceClass.BACKGROUND
    # The forehead, which the mesh leaves open.
    labels[42:62, 70:130][labels[42:62, 70:130] == FaceClass.BACKGROUND] = FaceClass.SKIN
    labels[20:42, 60:140] = FaceClass.HAIR
    return labels


def picture_of(labels):
    """Every class in its own grey: an aligned picture can be compared with the aligned labels."""
    return np.repeat((labels * 20)[:, :, None], 3, axis=2).astype(np.uint8)


def finds_the_face(image):
    return [Face(np.array([50.0, 40, 150, 140]), POINTS, 0.99)]


def finds_nothing(image):
    return []


@pytest.fixture
def folder(tmp_path):
    photos = tmp_path / "photos"
    (photos / "more").mkdir(parents=True)
    for name in ("a", "more/b", "c"):
        pictures.write(photos / f"{name}.png", picture_of(drawn_labels()))
        pictures.write(photos / f"{name}_label.png", drawn_labels())
    return photos


def test_labels_go_where_the_picture_goes(folder, tmp_path):
    """Away from the classes' borders the aligned grey is 20 times the aligned label."""
    rows = align_pairs(folder, tmp_path / "out", size=64, margin=8, detector=finds_the_face)
    assert [(row.photo, row.status) for row in rows] == [("a.png", "used"), ("c.png", "used"), ("more/b.png", "used")]
    crop, labels = pictures.read(tmp_path / "out/more/b.png"), pictures.read(tmp_path / "out/more/b_label.png")
    assert crop.shape == (80, 80, 3) and labels.shape == (80, 80) and labels.dtype == np.uint8
    flat = ndimage.maximum_filter(labels, 7) == ndimage.minimum_filter(labels, 7)
    flat &= labels != UNKNOWN
    assert flat.sum() > 2000 and np.abs(crop[flat].astype(int) - 20 * labels[flat, None].astype(int)).max() <= 1
    # The eyes are at their canonical places to within a pixel, and left is left.
    for eye, place in zip((FaceClass.LEFT_EYE, FaceClass.RIGHT_EYE), canonical_points(64, 8), strict=False):
        y, x = np.nonzero(labels == eye)
        np.testing.assert_allclose([x.mean(), y.mean()], place, atol=0.6)


def test_without_a_detected_face_the_points_come_from_the_labels(folder, tmp_path):
    rows = align_pairs(folder, tmp_path / "out", size=64, margin=8, detector=finds_nothing)
    assert all(row.status == "used" and row.confidence == "" for row in rows)
    found = np.array([point.split(",") for point in rows[0].points.split()], float)
    # The toy's nose is an ellipse, whose lower half has its middle 0.42 radii below the centre: 0.496 instead of 0.55.
    np.testing.assert_allclose(found[[0, 1, 3, 4]], POINTS[[0, 1, 3, 4]], atol=1.5)
    np.testing.assert_allclose(found[2], CORNER + [50, 49.6], atol=1)


def test_a_face_beside_the_labels_is_not_taken(folder, tmp_path):
    def finds_another(image):
        return [Face(np.array([0.0, 0, 60, 60]), POINTS - 60, 0.99)]

    rows = align_pairs(folder, tmp_path / "out", size=64, detector=finds_another)
    assert all(row.confidence == "" for row in rows)


@pytest.mark.parametrize("degrees", [0, 25, -60])
def test_points_of_a_turned_face(degrees):
    """Against the points turned by hand; labels of whole pixels move the mouth's corners by up to two of them."""
    turn = np.radians(degrees)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    points = toy.toy_points(SIZE, 0) - SIZE / 2
    labels = mesh_labels(points @ rotation.T + 100, (200, 200))
    expected = (canonical_points(SIZE) - SIZE / 2) @ rotation.T + 100
    found = points_from_labels(labels)
    np.testing.assert_allclose(found[[0, 1, 3, 4]], expected[[0, 1, 3, 4]], atol=2)
    labels[labels == FaceClass.LEFT_EYE] = FaceClass.SKIN
    assert points_from_labels(labels) is None


def test_warp_labels_against_scipy():
    random = np.random.default_rng(0)
    labels = random.integers(0, 11, (70, 90)).astype(np.uint8)
    matrix = np.array([[0.8, -0.33, 7.3], [0.33, 0.8, -9.1]])
    inverse = np.linalg.inv(matrix[:, :2])
    x, y = np.meshgrid(np.arange(64), np.arange(64))
    photo = inverse @ (np.stack([x.ravel(), y.ravel()]) - matrix[:, 2:])
    expected = ndimage.map_coordinates(labels, photo[::-1], order=0, mode="grid-constant", cval=255).reshape(64, 64)
    result = warp_labels(labels, matrix, 64)
    np.testing.assert_array_equal(result, expected)
    assert 0.05 < (result == UNKNOWN).mean() < 0.95


def test_outside_the_photo_labels_are_unknown():
    """Shifted by 10 pixels to the right: the first 10 columns lie outside."""
    labels = np.ones((30, 30), np.uint8)
    result = warp_labels(labels, np.array([[1.0, 0, 10], [0, 1, 0]]), 30)
    assert (result[:, :10] == UNKNOWN).all() and (result[:, 10:] == 1).all()


def test_a_second_run_goes_on(folder, tmp_path):
    calls = []

    def stops(image):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return finds_the_face(image)

    with pytest.raises(KeyboardInterrupt):
        align_pairs(folder, tmp_path / "out", size=64, detector=stops)
    assert len(pictures.list_pictures(tmp_path / "out")) == 4
    # A pair that is not whole, and a picture that has changed, are done again.
    (tmp_path / "out/a_label.png").write_bytes(b"cut sh")
    pictures.write(folder / "c.png", 255 - picture_of(drawn_labels()))
    calls.clear()
    rows = align_pairs(
        folder, tmp_path / "out", size=64, detector=lambda image: calls.append(1) or finds_the_face(image)
    )
    assert len(calls) == 3 and [row.status for row in rows] == ["used"] * 3
    calls.clear()
    again = align_pairs(folder, tmp_path / "out", size=64, detector=lambda image: calls.append(1))
    assert not calls and again == rows
    once = align_pairs(folder, tmp_path / "once", size=64, detector=finds_the_face)
    assert (
        once == rows == sorted(sum(journal.read(tmp_path / "out/report.tsv").values(), []), key=lambda row: row.photo)
    )
    for path in pictures.list_pictures(tmp_path / "once"):
        assert path.read_bytes() == (tmp_path / "out" / path.relative_to(tmp_path / "once")).read_bytes()
    with pytest.raises(ValueError, match="settings"):
        align_pairs(folder, tmp_path / "out", size=32, detector=finds_the_face)


def test_what_cannot_be_used_is_listed(folder, tmp_path):
    pictures.write(folder / "alone.png", picture_of(drawn_labels()))
    pictures.write(folder / "size.png", picture_of(drawn_labels())[:-1])
    pictures.write(folder / "size_label.png", drawn_labels())
    pictures.write(folder / "strange.png", picture_of(drawn_labels()))
    pictures.write(folder / "strange_label.png", drawn_labels() + 11)
    pictures.write(folder / "empty.png", picture_of(drawn_labels()))
    pictures.write(folder / "empty_label.png", drawn_labels() * 0)
    (folder / "broken.jpg").write_bytes(b"no picture")
    pictures.write(folder / "broken_label.png", drawn_labels())
    rows = {row.photo: row for row in align_pairs(folder, tmp_path / "out", size=64, detector=finds_the_face)}
    for name, words in {
        "alone.png": "no labels beside it",
        "size.png": "picture 200x179, labels 200x180",
        "strange.png": "values [11, 12, 13, 14, 15], which labels of style helen do not have",
        "empty.png": "no face found",
        "broken.jpg": "cannot be read",
    }.items():
        assert words in rows[name].reason and rows[name].status != "used" and not rows[name].crop
    assert rows["a.png"].status == "used" and len(pictures.list_pictures(tmp_path / "out")) == 6


def test_fasseg_uses_the_mesh(tmp_path):
    """The toy's labels in six classes come back as its 11, but for the mouth."""
    eleven = drawn_labels()
    six = np.array([0, 1, 5, 5, 3, 3, 2, 4, 4, 4, 5], np.uint8)[eleven]
    photos = tmp_path / "photos"
    photos.mkdir()
    pictures.write(photos / "x.png", picture_of(eleven))
    pictures.write(photos / "x_label.png", six)

    def mesh(crops, size):
        assert crops.shape == (1, 160, 160, 3) and size == 128
        return toy.toy_points(128, 16)[None], np.ones(1)

    (row,) = align_pairs(photos, tmp_path / "out", "fasseg", 128, 16, mesh, detector=finds_the_face)
    assert row.status == "used"
    result = pictures.read(tmp_path / "out/x_label.png")
    expected = warp_labels(eleven, similarity_transform(POINTS, canonical_points(128, 16)), 160)
    for label in (
        FaceClass.LEFT_BROW,
        FaceClass.RIGHT_BROW,
        FaceClass.LEFT_EYE,
        FaceClass.RIGHT_EYE,
        FaceClass.NOSE,
        FaceClass.HAIR,
    ):
        np.testing.assert_array_equal(result == label, expected == label)
    assert (result[np.isin(expected, (7, 8, 9))] == UNKNOWN).all() and (result == 7).sum() == 0
    (row,) = align_pairs(
        photos,
        tmp_path / "refused",
        "fasseg",
        128,
        16,
        lambda c, s: (mesh(c, s)[0], np.zeros(1)),
        detector=finds_the_face,
    )
    assert row.status == "not used" and row.reason.startswith("no face for the mesh")


def test_wrong_input(folder, tmp_path):
    with pytest.raises(ValueError, match="helen, fasseg, got 'celeba'"):
        align_pairs(folder, tmp_path / "out", "celeba")
    with pytest.raises(ValueError, match="face mesh"):
        align_pairs(folder, tmp_path / "out", "fasseg")
    with pytest.raises(ValueError, match="outside"):
        align_pairs(folder, folder / "out")
    with pytest.raises(ValueError, match="did not write"):
        align_pairs(folder / "more", folder)
    (tmp_path / "none").mkdir()
    pictures.write(tmp_path / "none/x.png", picture_of(drawn_labels()))
    with pytest.raises(FileNotFoundError, match="labels beside"):
        list_pairs(tmp_path / "none")
    pictures.write(folder / "a.jpg", picture_of(drawn_labels()))
    with pytest.raises(ValueError, match="a_label.png"):
        list_pairs(folder)
    pictures.write(tmp_path / "colour.png", np.arange(48, dtype=np.uint8).reshape(4, 4, 3))
    with pytest.raises(ValueError, match="colour"):
        read_labels(tmp_path / "colour.png", "helen")


def test_wrong_calls_give_one_sentence_and_load_nothing_heavy(folder, tmp_path):
    out = str(tmp_path / "out")
    cases = [
        (["--out", out], "--photos is missing"),
        (["--photos", str(folder)], "--out is missing"),
        (["--photos", str(folder), "--out", out, "--style", "fasseg"], "--mesh"),
        (["--photos", str(folder), "--out", out, "--style", "other"], "style"),
        (["--photos", str(tmp_path / "nothing"), "--out", out], "nothing"),
        (["--photos", str(folder), "--out", str(folder)], "outside"),
        (["--photos", str(folder), "--out", out, "--style", "fasseg", "--mesh", "no.tflite"], "no.tflite"),
    ]
    done = subprocess.run(
        [sys.executable, str(ROOT / "tests" / "wrong_calls.py"), "trainers.datasets.parsing_folders",
         json.dumps([case for case, _ in cases] + [["--help"]])],
        cwd=ROOT, capture_output=True, text=True, timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    results, heavy = json.loads(done.stdout)
    for (arguments, words), (code, error) in zip(cases, results, strict=False):
        assert code == 2 and words in error and len(error.strip().splitlines()) == 1, (arguments, error)
    assert results[-1][0] == 0 and "--style" in results[-1][1] and "Align images" in results[-1][1]
    assert not heavy and not Path(out).exists()
