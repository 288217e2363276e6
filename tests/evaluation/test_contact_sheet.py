import numpy as np
import pytest
from PIL import Image

from deblur_zoo.evaluation.contact_sheet import CAPTION_HEIGHT, contact_sheet, tile_origin


def some(count, seed, side=16):
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def test_every_face_stands_where_it_should(tmp_path):
    rows = [some(5, seed) for seed in range(3)]
    sheet = contact_sheet(*rows, tmp_path / "sheet.png", scale=1, columns=3)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "sheet.png")), sheet)
    block_height = tile_origin(3, 0, 16, 16, 1)[0] + CAPTION_HEIGHT
    assert sheet.shape[0] == 2 * block_height
    for row, faces in enumerate(rows):
        for index, face in enumerate(faces):
            top, left = tile_origin(row, index % 3, 16, 16, 1)
            top += block_height * (index // 3)
            np.testing.assert_array_equal(sheet[top : top + 16, left : left + 16], face)


def test_enlarged_faces_and_captions(tmp_path):
    rows = [some(2, seed, side=32) for seed in range(3)]
    plain = contact_sheet(*rows, tmp_path / "plain.png", scale=2)
    captioned = contact_sheet(*rows, tmp_path / "captioned.png", scale=2, captions=["13 px", "27 px"])
    top, left = tile_origin(1, 1, 32, 32, 2)
    expected = Image.fromarray(rows[1][1]).resize((64, 64), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(plain[top : top + 64, left : left + 64], expected)
    changed = np.argwhere((plain != captioned).any(-1))
    assert len(changed) > 20
    assert changed[:, 0].min() >= tile_origin(3, 0, 32, 32, 2)[0]


def test_pictures_without_a_truth_give_two_rows(tmp_path):
    with_truth = contact_sheet(some(1, 0), some(1, 1), some(1, 2), tmp_path / "three.png", scale=1)
    without = contact_sheet(some(1, 0), some(1, 1), None, tmp_path / "two.png", scale=1)
    assert with_truth.shape[0] - without.shape[0] == tile_origin(1, 0, 16, 16, 1)[0] - tile_origin(0, 0, 16, 16, 1)[0]


def test_bad_input_is_refused_and_nothing_is_written(tmp_path):
    path = tmp_path / "sheet.png"
    with pytest.raises(TypeError, match="restored .*float64"):
        contact_sheet(some(2, 0), some(2, 1) / 255, some(2, 2), path)
    with pytest.raises(ValueError, match=r"got \(2, 16, 16, 3\) blurred and \(1, 16, 16, 3\) sharp"):
        contact_sheet(some(2, 0), some(2, 1), some(1, 2), path)
    with pytest.raises(ValueError, match="2 images .*captions, got 1"):
        contact_sheet(some(2, 0), some(2, 1), some(2, 2), path, captions=["one"])
    with pytest.raises(ValueError, match="scale and columns"):
        contact_sheet(some(2, 0), some(2, 1), some(2, 2), path, scale=1.5)
    assert list(tmp_path.iterdir()) == []
