"""What is written beside a result, from results that a test made by hand."""

import json

import numpy as np
import pytest
from PIL import Image

from deblur_zoo.faces.alignment import canonical_points
from deblur_zoo.faces.warp import align
from deblur_zoo.files import pictures
from deblur_zoo.restoration.outputs import Outputs, with_boxes
from deblur_zoo.restoration.photo import PhotoFace, RestoredPhoto


def face(left, top, size, restored=True):
    points = canonical_points(size) + [left, top]
    box = np.array([left, top, left + size, top + size], float)
    return PhotoFace(box, points, 0.98765, float(size), np.eye(2, 3), 64, 25.0, 9.5, restored)


@pytest.fixture
def result(tmp_path):
    """A grey ramp, in whose result the left half is brighter; two faces."""
    pixels = np.tile(np.arange(200, dtype=np.uint8)[None, :, None], (100, 1, 3))
    pictures.write(tmp_path / "in.png", pixels)
    restored = pixels.copy()
    restored[:, :100] += 40
    faces = [face(20, 10, 70), face(120, 30, 40, restored=False)]
    return RestoredPhoto(restored, faces, {"detection": 0.25}, pictures.load(tmp_path / "in.png"))


def test_nothing_but_the_result_is_written_unless_asked_for(result, tmp_path):
    Outputs().write(result, tmp_path / "in.png", tmp_path / "out" / "a.png")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.png"]
    np.testing.assert_array_equal(pictures.read(tmp_path / "out" / "a.png"), result.pixels)


def test_what_lies_beside_a_result(result, tmp_path):
    out = tmp_path / "out"
    Outputs(compare=True, boxes=True, crops=True).write(result, tmp_path / "in.png", out / "a.png")
    names = ["a.png", "a_boxes.jpg", "a_compare.jpg", "a_face_1.png", "a_face_2.png"]
    assert sorted(path.name for path in out.iterdir()) == names
    both = np.concatenate([pictures.read(tmp_path / "in.png"), result.pixels], axis=1)
    np.testing.assert_allclose(pictures.read(out / "a_compare.jpg").astype(int), both, atol=10)
    first, second = (pictures.read(out / f"a_face_{number}.png") for number in (1, 2))
    np.testing.assert_array_equal(first, align(result.pixels, result.faces[0].points, 70)[0])
    # No smaller than 64 pixels.
    assert second.shape == (64, 64, 3)


def test_boxes(result):
    drawn = with_boxes(result.pixels, result.faces)
    assert drawn[10, 50].tolist() == [64, 220, 64] and drawn[30, 150].tolist() == [255, 200, 0]
    # Within the box only the points are drawn.
    x, y = np.rint(result.faces[0].points[2]).astype(int)
    assert drawn[y, x].tolist() == [64, 220, 64]
    changed = (drawn != result.pixels).any(axis=-1)
    assert 0 < changed[12:78, 22:88].sum() < 100
    assert np.array_equal(with_boxes(result.pixels, []), result.pixels)


def test_the_report_has_a_line_for_each_photo(result, tmp_path):
    outputs = Outputs(report=tmp_path / "report.json")
    outputs.write(result, tmp_path / "in.png", tmp_path / "a.png")
    outputs.tell({"photo": "b.png", "error": "damaged"})
    first, second = map(json.loads, (tmp_path / "report.json").read_text().splitlines())
    assert second == {"photo": "b.png", "error": "damaged"}
    assert (first["photo"], first["result"]) == (str(tmp_path / "in.png"), str(tmp_path / "a.png"))
    assert (first["width"], first["height"]) == (200, 100)
    assert first["seconds"]["detection"] == 0.25
    # Writing may take less than the millisecond that it is rounded to.
    assert first["seconds"]["writing"] == round(result.seconds["writing"], 3) and result.seconds["writing"] > 0
    left, right = first["faces"]
    assert left["box"] == [20, 10, 90, 80] and len(left["points"]) == 5 and left["confidence"] == 0.9877
    assert left["restored"] and not right["restored"] and (left["sharpness"], left["blur"]) == (25, 9.5)


def test_files_that_are_there_stay_unless_replaced(result, tmp_path):
    (tmp_path / "a_compare.jpg").write_text("somebody's")
    Outputs(compare=True).write(result, tmp_path / "in.png", tmp_path / "a.png")
    assert (tmp_path / "a_compare.jpg").read_text() == "somebody's"
    Outputs(compare=True, overwrite=True).write(result, tmp_path / "in.png", tmp_path / "a.png")
    assert pictures.read(tmp_path / "a_compare.jpg").shape == (100, 400, 3)


def test_a_photo_in_which_nothing_changed_is_copied(tmp_path):
    ramp = np.tile(np.arange(200, dtype=np.uint8)[None, :, None], (100, 1, 3))
    Image.fromarray(ramp).save(tmp_path / "in.jpg", quality=60)
    photo = pictures.load(tmp_path / "in.jpg")
    same = RestoredPhoto(pictures.read(tmp_path / "in.jpg"), source=photo)
    Outputs().write(same, tmp_path / "in.jpg", tmp_path / "a.jpg")
    assert (tmp_path / "a.jpg").read_bytes() == (tmp_path / "in.jpg").read_bytes()
    Outputs().write(same, tmp_path / "in.jpg", tmp_path / "a.png")
    np.testing.assert_array_equal(pictures.read(tmp_path / "a.png"), photo.colours[0])


@pytest.mark.parametrize("ending", ["jpg", "webp"])
def test_quality(result, tmp_path, ending):
    sizes = {}
    for quality in (10, 90):
        Outputs(quality=quality).write(result, tmp_path / "in.png", tmp_path / f"{quality}.{ending}")
        sizes[quality] = (tmp_path / f"{quality}.{ending}").stat().st_size
    assert sizes[10] < sizes[90]
    with pytest.raises(ValueError, match="quality must be between 1 and 100"):
        Outputs(quality=0)


def test_16_bits_with_alpha(tmp_path):
    deep = np.full((80, 80, 4), 40_000, np.uint16)
    restored = RestoredPhoto(deep, [face(5, 5, 70)], source=pictures.load(deep - np.uint16([9, 9, 9, 0])))
    Outputs(compare=True, boxes=True, crops=True).write(restored, tmp_path / "in.png", tmp_path / "a.png")
    assert pictures.read(tmp_path / "a_compare.jpg").shape == (80, 160, 3)
    np.testing.assert_array_equal(pictures.load(tmp_path / "a.png").rebuild_levels(deep[None, ..., :3]), deep)
