import json

import keras
import numpy as np
import pytest
from keras import ops
from skimage.metrics import peak_signal_noise_ratio

from deblur_zoo.blur.kernels import make_bank
from deblur_zoo.evaluation import table
from deblur_zoo.evaluation.measurement import evaluate, restore
from deblur_zoo.evaluation.protocol import KernelSizes


@pytest.fixture(scope="module")
def protocol():
    return KernelSizes(bank=make_bank("trajectory", 6, [13, 15], seed=3, split="test"), kernels_per_size=2)


@pytest.fixture(scope="module")
def faces():
    coarse = np.random.default_rng(1).integers(60, 180, (5, 8, 8, 3), dtype=np.uint8)
    return coarse.repeat(4, axis=1).repeat(4, axis=2)


def unchanged(images):
    return images


def pull_to_middle(images):
    return 0.5 + 0.9 * (images - 0.5)


def test_a_model_that_changes_nothing_gains_nothing(faces, protocol):
    measurement = evaluate(unchanged, faces, protocol)
    assert measurement.psnr_gain == 0.0
    assert measurement.sharp_in_psnr == 60.0  # identical pictures, capped
    np.testing.assert_allclose(measurement.sharp_in.ssim, 1, atol=1e-6)
    np.testing.assert_array_equal(measurement.rows["blurred"].psnr, measurement.rows["restored"].psnr)


def test_every_number_against_an_independent_computation(faces, protocol):
    measurement = evaluate(pull_to_middle, faces, protocol, batch_size=3)
    pairs = [
        pair
        for batch in protocol.batches(faces)
        for pair in zip(batch.faces, batch.kernels, batch.blurred, strict=True)
    ]
    assert [(f, k) for f, k, _ in pairs] == list(zip(measurement.faces, measurement.kernels, strict=True))
    restored = [np.rint(127.5 + 0.9 * (blurred - 127.5)).astype(np.uint8) for _, _, blurred in pairs]
    expected = np.array([peak_signal_noise_ratio(faces[f], r) for (f, _, _), r in zip(pairs, restored, strict=True)])
    # A half that rounds the other way in float32 moves a pixel by a grey level here and there.
    np.testing.assert_allclose(measurement.rows["restored"].psnr, expected, atol=0.01)
    blurred = np.array([peak_signal_noise_ratio(faces[f], b) for f, _, b in pairs])
    np.testing.assert_allclose(measurement.rows["blurred"].psnr, blurred, atol=1e-3)
    colour = [(r.astype(float) - faces[f]).mean((0, 1)) / 2.55 for (f, _, _), r in zip(pairs, restored, strict=True)]
    np.testing.assert_allclose(measurement.rows["restored"].colour, colour, atol=0.01)

    metrics = table.summary(measurement)
    overall = metrics["overall"]
    assert metrics["pairs"] == 20 and metrics["faces"] == 5
    assert overall["restored"]["psnr"]["mean"] == pytest.approx(expected.mean(), abs=0.01)
    assert overall["restored"]["psnr"]["std"] == pytest.approx(expected.std(), abs=0.01)
    assert overall["restored"]["psnr"]["worst"] == pytest.approx(expected.min(), abs=0.01)
    assert overall["psnr_gain"]["mean"] == pytest.approx((expected - blurred).mean(), abs=0.01)
    assert overall["restored"]["colour_shift"]["mean"] == pytest.approx(np.abs(colour).mean(), abs=0.01)
    assert overall["restored"]["colour_shift"]["worst"] == pytest.approx(np.abs(colour).mean(1).max(), abs=0.01)
    of_15 = measurement.groups == "15"
    assert metrics["by_kernel_size"]["15"]["blurred"]["psnr"]["mean"] == pytest.approx(blurred[of_15].mean(), abs=1e-3)
    assert overall["restored"]["identity_cosine"] is None


def test_colour_shift_by_hand(faces, protocol):
    def redder(images):
        return images + np.array([5 / 255, 0, 0], np.float32)

    measurement = evaluate(redder, faces, protocol)
    np.testing.assert_allclose(measurement.sharp_in.colour, [[500 / 255, 0, 0]] * 5, atol=1e-4)
    shift = table.summary(measurement)["sharp_in"]["colour_shift"]["mean"]
    assert shift == pytest.approx(500 / 255 / 3, abs=1e-4)


def test_identity_cosine_compares_each_pair_with_its_own_face(faces, protocol):
    def first_pixels(images):
        return ops.reshape(images[:, :8, :8], (-1, 192)) - 0.47

    measurement = evaluate(pull_to_middle, faces, protocol, batch_size=4, identity_network=first_pixels)
    cosines = []
    for batch in protocol.batches(faces):
        for face, blurred in zip(batch.faces, batch.blurred, strict=True):
            x, y = (image[:8, :8].reshape(-1) / 255 - 0.47 for image in (faces[face], blurred))
            cosines.append(x @ y / np.linalg.norm(x) / np.linalg.norm(y))
    np.testing.assert_allclose(measurement.rows["blurred"].identity, cosines, atol=1e-4)
    assert "not measured" not in table.markdown(table.summary(measurement))


def test_a_keras_model_runs_in_inference_mode_and_stored_batches_give_the_same(faces, protocol):
    class Doubling(keras.Model):
        def call(self, images, training=True):
            return images * 2 if training else images

    stored = list(protocol.batches(faces))
    measurement = evaluate(Doubling(), faces, protocol, batches=stored, sharp_in=False)
    assert measurement.psnr_gain == 0.0
    assert measurement.sharp_in is None and measurement.sharp_in_psnr is None
    np.testing.assert_array_equal(restore(Doubling(), faces, batch_size=2), faces)
    assert table.summary(measurement)["sharp_in"] is None


def test_bad_faces_are_refused(protocol):
    with pytest.raises(TypeError, match="uint8, got float32"):
        evaluate(unchanged, np.zeros((1, 16, 16, 3), np.float32), protocol)
    with pytest.raises(ValueError, match=r"\(0, 16, 16, 3\)"):
        evaluate(unchanged, np.zeros((0, 16, 16, 3), np.uint8), protocol)


def test_written_files_are_whole_and_hold_the_numbers(faces, protocol, tmp_path):
    metrics = table.summary(evaluate(unchanged, faces, protocol))
    metrics |= {"data": {"fingerprint": "ab12"}, "versions": table.versions()}
    paths = table.write(metrics, tmp_path / "new")
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["metrics.json", "table.md"]
    assert json.loads(paths[0].read_text(encoding="utf-8")) == metrics
    text = paths[1].read_text(encoding="utf-8")
    blurred = metrics["by_kernel_size"]["13"]["blurred"]["psnr"]
    assert f"| 13 | 10 | {blurred['mean']:.2f} ± {blurred['std']:.2f} ({blurred['worst']:.2f}) |" in text
    assert "| identity cosine | not measured | not measured | not measured |" in text
    assert "| PSNR, dB | " in text and "| 60.00 |" in text
    assert "fingerprint ab12" in text and f"keras {keras.__version__}" in text


def test_a_table_that_cannot_be_written_leaves_the_old_one(faces, protocol, tmp_path):
    metrics = table.summary(evaluate(unchanged, faces, protocol))
    table.write(metrics, tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(ValueError):  # JSON has no NaN
        table.write({**metrics, "extra": float("nan")}, tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
