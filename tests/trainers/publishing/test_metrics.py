"""A preset's metrics.json and its table: every number by scikit-image."""

import json

import numpy as np
import pytest
from PIL import Image
from skimage import data
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from deblur_zoo import zoo
from deblur_zoo.evaluation.faces import Faces
from deblur_zoo.evaluation.protocols import make_test_set
from deblur_zoo.models.one_step import OneStep
from deblur_zoo.zoo.presets import save_preset
from trainers.publishing import metrics as deblurrer_metrics


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    folder = tmp_path_factory.mktemp("crops")
    for index in range(2):
        Image.fromarray(data.astronaut()[20 * index : 128 + 20 * index, 150:278]).save(folder / f"{index}.png")
    return folder


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    model = OneStep(width=4, reduced_width=4, modules=1, kernel_sizes=(1,), scale=4, image_skip=True)
    model.build()
    random = np.random.default_rng(0)
    model.set_weights([value + 0.02 * random.normal(size=value.shape) for value in model.get_weights()])
    folder = tmp_path_factory.mktemp("hub") / "small"
    save_preset(model, folder, "small")
    return folder


def test_every_number_by_scikit_image(preset, faces):
    found = deblurrer_metrics.measure(preset, faces)
    test_set, model = make_test_set("kernel_sizes", Faces(faces)), zoo.load(preset)
    scores = {"blurred": [], "restored": []}
    for batch in test_set.protocol.batches(test_set.faces):
        for truth, blurred, restored in zip(batch.sharp, batch.blurred, model.deblur(batch.blurred), strict=True):
            for name, picture in (("blurred", blurred), ("restored", restored)):
                similarity = structural_similarity(
                    truth, picture, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, channel_axis=-1,
                )  # fmt: skip
                shift = np.abs((picture.astype(float) - truth).mean(axis=(0, 1))).mean() / 2.55
                scores[name].append((peak_signal_noise_ratio(truth, picture), similarity, shift))
    assert found["faces"] == 2 and found["pairs"] == 16 and found["overall"]["pairs"] == 16
    for name, rows in scores.items():
        for position, (measure, worst) in enumerate((("psnr", min), ("ssim", min), ("colour_shift", max))):
            values = [row[position] for row in rows]
            expected = {"mean": np.mean(values), "std": np.std(values), "worst": worst(values)}
            # A pixel here and there rounds to another level in another batch.
            assert found["overall"][name][measure] == pytest.approx(expected, abs=2e-3)
            # Two faces by one kernel of each size.
            of_15 = found["by_kernel_size"]["15"][name][measure]["mean"]
            assert of_15 == pytest.approx(np.mean(values[2:4]), abs=2e-3)
    gains = np.array(scores["restored"])[:, 0] - np.array(scores["blurred"])[:, 0]
    assert found["overall"]["psnr_gain"]["mean"] == pytest.approx(gains.mean(), abs=2e-3)
    assert found["overall"]["made_worse"] == (gains < 0).mean()
    sharp_in = [peak_signal_noise_ratio(face, model.deblur(face)) for face in test_set.faces]
    assert found["sharp_in"]["psnr"]["mean"] == pytest.approx(np.mean(sharp_in), abs=2e-3)
    assert found["overall"]["restored"]["identity_cosine"] is None
    assert found["model"]["weights_sha256"] == json.loads((preset / "config.json").read_text())["weights"]["sha256"]


def test_the_table_has_the_numbers():
    path = zoo.hub_folder() / "one_step_lite" / "metrics.json"
    metrics = json.loads(path.read_text(encoding="utf-8"))
    text = deblurrer_metrics.markdown(metrics)
    before, after = (metrics["by_kernel_size"]["13"][name]["psnr"] for name in ("blurred", "restored"))
    spreads = [f"{one['mean']:.2f} ± {one['std']:.2f} ({one['worst']:.2f})" for one in (before, after)]
    assert f"| 13 | 276 | {spreads[0]} | {spreads[1]} | {after['mean'] - before['mean']:+.2f} |" in text
    assert metrics["data"]["fingerprint"] in text and metrics["versions"]["keras"] in text
    metrics["sharp_in"]["identity_cosine"] = None
    assert "| not measured |" in deblurrer_metrics.markdown(metrics)
    # The card was rendered from it.
    assert text in (path.parent / "README.md").read_text(encoding="utf-8")
