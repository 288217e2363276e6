from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage
from skimage.metrics import peak_signal_noise_ratio

from deblur_zoo.blur.kernels import random_kernel
from deblur_zoo.files import pictures
from examples import gallery, make_example
from tests.commands import run_python

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("scene", gallery.SCENES, ids=lambda scene: scene.kind)
def test_a_scene_is_blurred_by_its_kernel(scene):
    """Inside, where no pixel from beyond the crop comes in, the blurred face is SciPy's, but for noise and rounding."""
    sharp, blurred = gallery.make_pair(scene)
    kernel = random_kernel(scene.kind, scene.size, np.random.default_rng(scene.seed))
    expected = ndimage.convolve(sharp.astype(float), kernel[..., None])
    inside = slice(scene.size, -scene.size)
    error = (blurred - expected)[inside, inside]
    # The noise's sigma is 0.01, 2.55 levels; rounding twice adds 0.4.
    assert 2.4 < error.std() < 2.8 and abs(error.mean()) < 0.1
    for again, picture in zip(gallery.make_pair(scene), (sharp, blurred), strict=True):
        np.testing.assert_array_equal(again, picture)


def test_the_first_scene_is_the_example_face_and_the_others_are_not():
    example = pictures.read(make_example.SHARP).astype(int)
    plain, mirrored, turned = (gallery.make_pair(scene)[0].astype(int) for scene in gallery.SCENES)
    np.testing.assert_allclose(plain, example, atol=2)  # versions of OpenCV round by a level
    # Mirrored, and every channel darker by its own power.
    expected = 255 * (example[:, ::-1] / 255) ** [1.4, 1.6, 1.9]
    np.testing.assert_allclose(mirrored, expected, atol=4)
    # Turned: the left eye's pixel is elsewhere, but the whole is no other picture.
    assert np.abs(turned - example).mean() > 10
    grey = [ndimage.gaussian_filter(face.mean(axis=-1), 4)[32:96, 32:96].ravel() for face in (turned, example)]
    assert np.corrcoef(*grey)[0, 1] > 0.6


def test_every_kind_of_motion_is_shown():
    assert {scene.kind for scene in gallery.SCENES} == {"linear", "trajectory", "gaussian_process"}


def test_columns_and_captions(tiny_preset, tiny_model):
    sheet, measured = gallery.gallery([tiny_preset])
    assert list(measured) == ["blurred", "tiny"]
    width = gallery.LABEL_WIDTH + 3 * 132 - 4
    assert sheet.shape == (18 + 3 * 148 - 4, width, 3)
    for row, scene in enumerate(gallery.SCENES):
        sharp, blurred = gallery.make_pair(scene)
        restored = tiny_model.deblur(blurred)
        assert measured["blurred"][row] == pytest.approx(peak_signal_noise_ratio(sharp, blurred), abs=1e-3)
        assert measured["tiny"][row] == pytest.approx(peak_signal_noise_ratio(sharp, restored), abs=1e-3)
        top = 18 + row * 148
        for column, expected in enumerate((blurred, restored, sharp)):
            left = gallery.LABEL_WIDTH + column * 132
            np.testing.assert_array_equal(sheet[top : top + 128, left : left + 128], expected)
            # A caption below all but the sharp one, and the row's title beside.
            caption = sheet[top + 129 : top + 144, left : left + 128]
            assert (caption < 100).any() == (column < 2)
        title = sheet[top : top + 128, : gallery.LABEL_WIDTH]
        assert (title < 100).any() and (title[:, -1] == 255).all()


def test_the_picture_in_the_documents_is_the_one_of_these_scenes():
    """Its last column holds the sharp faces, whatever presets stand between."""
    stored = pictures.read(ROOT / "docs" / "gallery.png")
    for row, scene in enumerate(gallery.SCENES):
        sharp, blurred = gallery.make_pair(scene)
        top = 18 + row * 148
        for left, expected in ((stored.shape[1] - 128, sharp), (gallery.LABEL_WIDTH, blurred)):
            np.testing.assert_allclose(stored[top : top + 128, left : left + 128].astype(int), expected, atol=4)
    # A README is no place for megabytes.
    assert (ROOT / "docs" / "gallery.png").stat().st_size < 700_000


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--out", "OUT/a.jpg"], "--out must end in .png"),
        (["--out", "OUT/none/a.png"], "none"),
        (["--out", "OUT/a.png", "--presets", "one_stp"], "There is no preset 'one_stp'"),
        (["extra"], "unexpected argument 'extra'"),
    ],
)
def test_bad_flags_give_one_sentence_and_code_2(tmp_path, arguments, sentence):
    done = run_python("-m", "examples.gallery", *(word.replace("OUT", str(tmp_path)) for word in arguments))
    assert done.returncode == 2 and sentence in done.stderr.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []
