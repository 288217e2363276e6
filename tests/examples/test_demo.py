import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio

from deblur_zoo.files import pictures
from examples import demo, make_example

ROOT = Path(__file__).parents[2]


def test_the_stored_pictures_are_the_ones_that_the_script_makes():
    for path, made in zip((make_example.SHARP, make_example.BLURRED), make_example.make(), strict=True):
        stored = pictures.read(path)
        assert stored.shape == (128, 128, 3)
        # Versions of OpenCV round the warp differently, by a level.
        np.testing.assert_allclose(stored.astype(int), made, atol=2)


def test_the_stored_photo_is_the_one_that_the_script_makes():
    stored, made = pictures.read(make_example.PHOTO), make_example.make_photo()
    # JPEG of quality 90, and the noise that it smooths.
    assert stored.shape == made.shape and np.abs(stored.astype(int) - made).mean() < 2.5


def test_the_blurred_picture_is_blurred_and_in_place():
    sharp, blurred = (pictures.read(path).astype(float) for path in (demo.SHARP, demo.BLURRED))
    assert 15 < peak_signal_noise_ratio(sharp, blurred, data_range=255) < 24
    # The same picture in large: means over 32x32 blocks hardly move.
    blocks = [picture.reshape(4, 32, 4, 32, 3).mean(axis=(1, 3)) for picture in (sharp, blurred)]
    assert np.corrcoef(blocks[0].ravel(), blocks[1].ravel())[0, 1] > 0.98


def test_demo_writes_and_measures(tiny_preset, tiny_model, tmp_path, capsys):
    measured = demo.deblur_example(tiny_preset, tmp_path / "out")
    sharp, blurred = pictures.read(demo.SHARP), pictures.read(demo.BLURRED)
    restored = pictures.read(tmp_path / "out" / "restored.png")
    np.testing.assert_array_equal(restored, tiny_model.deblur(blurred))
    assert measured["psnr_before"] == pytest.approx(peak_signal_noise_ratio(sharp, blurred), abs=1e-3)
    assert measured["psnr_after"] == pytest.approx(peak_signal_noise_ratio(sharp, restored), abs=1e-3)
    text = capsys.readouterr().out
    assert f"{measured['psnr_before']:.2f} dB" in text and f"{measured['psnr_after']:.2f} dB with tiny" in text
    sheet = pictures.read(tmp_path / "out" / "side_by_side.png")
    assert sheet.shape == (3 * 128 + 30, 3 * 3 * 128 + 12, 3)
    # The third panel is the sharp face, enlarged: shrunk again it is the face.
    panel = sheet[30:, 2 * (384 + 6) :].reshape(128, 3, 128, 3, 3).mean(axis=(1, 3))
    assert np.abs(panel - sharp).mean() < 3
    # Captions are there.
    assert (sheet[:30, :384] < 100).any() and (sheet[:30, 390:774] < 100).any()


def test_the_command_says_nothing_but_its_results(tiny_preset, tmp_path):
    command = [sys.executable, "-m", "examples.demo", "--preset", tiny_preset, "--out", tmp_path / "out"]
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("PSNR before ") and (tmp_path / "out" / "restored.png").is_file()


def test_missing_weights_are_one_sentence(tiny_model, tmp_path):
    from deblur_zoo.zoo.presets import save_preset

    save_preset(tiny_model, tmp_path / "bare", "bare", weights=False, without_weights="It is being trained.")
    with pytest.raises(ValueError, match="'bare' has no trained weights. It is being trained."):
        demo.deblur_example(tmp_path / "bare", tmp_path / "out")
    assert not (tmp_path / "out").exists()
