"""Validation against scikit-image and by hand, and the strips."""

import json

import keras
import numpy as np
import pytest
from keras import ops

from deblur_zoo.blur.kernels import standard_test_bank
from deblur_zoo.data.face_store import FaceStore
from trainers.validation.deblurring_validation import DevelopmentSet
from trainers.validation.kinds import development_set
from trainers.validation.model_runner import identity_network
from trainers.validation.parsing_validation import COLOURS, ParsingDevelopmentSet
from trainers.validation.pictures import CAPTION_HEIGHT, GAP, chosen_faces, strip


class Darker(keras.Model):
    """Multiplies its input by a weight."""

    kind = "deblurrer"

    def __init__(self, factor):
        super().__init__()
        self.factor = self.add_weight(shape=(), initializer=keras.initializers.Constant(factor))
        self.built = True

    def call(self, images, training=False):
        return images * self.factor


class Parser(keras.Model):
    """Calls bright red pixels skin, all others background."""

    kind = "parser"

    def call(self, images, training=False):
        red = images[..., :1]
        return ops.concatenate([1 - red, red, *[ops.zeros_like(red)] * 9], axis=-1)


def faces_of(count, size=40):
    rng = np.random.default_rng(0)
    coarse = rng.integers(40, 216, (count, 5, 5, 3), dtype=np.uint8)
    return coarse.repeat(size // 5, axis=1).repeat(size // 5, axis=2)


def embed(images):
    """Stands for an identity network: the mean colour."""
    return ops.mean(images, axis=(1, 2))


@pytest.fixture(scope="module")
def development():
    # Five faces in batches of two: the last batch is not full.
    return DevelopmentSet(faces_of(5), standard_test_bank(), crop_size=32, batch_size=2, identity_network=embed)


def test_measures_against_scikit_image(development):
    metrics = pytest.importorskip("skimage.metrics", reason="scikit-image is not installed")
    assert development.sharp.shape == (5, 32, 32, 3) and not np.array_equal(development.sharp, development.blurred)
    scores = development.measure(Darker(0.9))
    truth, blurred = development.sharp / 255.0, development.blurred / 255.0
    estimate = 0.9 * blurred

    def psnr(others):
        return np.mean([metrics.peak_signal_noise_ratio(*pair, data_range=1.0) for pair in others])

    def ssim(one, other):
        # scikit-image averages over borders, too, unless the full map is cut.
        _, full = metrics.structural_similarity(
            one, other, data_range=1.0, channel_axis=-1, gaussian_weights=True, sigma=1.5, truncate=3.5,
            use_sample_covariance=False, full=True,
        )  # fmt: skip
        return full[5:-5, 5:-5].mean()

    assert scores["psnr"] == pytest.approx(psnr(zip(truth, estimate, strict=True)), abs=1e-4)
    assert scores["psnr_gain"] == pytest.approx(scores["psnr"] - psnr(zip(truth, blurred, strict=True)), abs=1e-4)
    # A quarter of five faces is one.
    assert scores["sharp_in_psnr"] == pytest.approx(psnr([(truth[0], 0.9 * truth[0])]), abs=1e-4)
    expected = np.mean([ssim(*pair) for pair in zip(truth, estimate, strict=True)])
    assert scores["ssim"] == pytest.approx(expected, abs=1e-5)
    one, other = truth.mean(axis=(1, 2)), estimate.mean(axis=(1, 2))
    cosines = (one * other).sum(axis=1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)
    assert scores["identity_cosine"] == pytest.approx(cosines.mean(), abs=1e-5)
    assert development.score in scores


def test_weights_that_change_are_measured_anew(development):
    model = Darker(0.9)
    first = development.measure(model)["psnr"]
    model.factor.assign(0.5)
    assert development.measure(model)["psnr"] == pytest.approx(development.measure(Darker(0.5))["psnr"], abs=1e-5)
    assert first > development.measure(model)["psnr"] + 3


def test_perfect_restoration_is_capped(development):
    assert development.measure(Darker(1.0))["sharp_in_psnr"] == 60.0


def test_strip_shows_each_face_in_its_place(development):
    picture = development.strip(Darker(0.5))
    few = chosen_faces(5)
    assert few.tolist() == [0, 1, 3, 4] and chosen_faces(2).tolist() == [0, 1]
    assert picture.shape == (CAPTION_HEIGHT + 4 * (32 + GAP), 3 * 32 + 2 * GAP, 3)
    for row, face in enumerate(few):
        top = CAPTION_HEIGHT + row * (32 + GAP)
        blurred, restored, sharp = (picture[top : top + 32, left : left + 32] for left in (0, 32 + GAP, 64 + 2 * GAP))
        np.testing.assert_array_equal(blurred, development.blurred[face])
        np.testing.assert_array_equal(sharp, development.sharp[face])
        np.testing.assert_allclose(restored, 0.5 * development.blurred[face], atol=0.51)
    assert (picture[:CAPTION_HEIGHT, : 32 + GAP] < 128).any(), "no caption"


def test_strip_refuses_columns_of_different_shapes():
    with pytest.raises(ValueError, match="same shape"):
        strip({"one": np.zeros((1, 4, 4, 3), np.uint8), "other": np.zeros((2, 4, 4, 3), np.uint8)})


def test_parser_is_measured_by_f_scores():
    faces = np.zeros((3, 8, 8, 3), np.uint8)
    faces[:, :4, :, 0] = 255
    labels = np.full((3, 8, 8), 255, np.uint8)
    # Of four rows called skin, three are skin and one is nose; one more row of skin is called background.
    labels[:, :3], labels[:, 3], labels[:, 4], labels[:, 5] = 1, 6, 1, 0
    development = ParsingDevelopmentSet(faces, labels, crop_size=8, batch_size=2)
    scores = development.measure(Parser())
    # Skin: 3 rows right, 1 too many, 1 too few: 6 / 8. The nose is never found.
    assert scores == {"mean_f_score": pytest.approx(0.375), "f_face": pytest.approx(0.75), "f_nose": 0.0}
    # A component that the labels are silent about does not count, though it was found.
    silent = ParsingDevelopmentSet(faces, np.where(labels == 1, 0, labels).astype(np.uint8), crop_size=8)
    assert silent.measure(Parser()) == {"mean_f_score": 0.0, "f_nose": 0.0}
    picture = development.strip(Parser())
    found = picture[CAPTION_HEIGHT : CAPTION_HEIGHT + 8, 8 + GAP : 16 + GAP]
    assert (found[:4] == COLOURS[1]).all() and (found[4:] == COLOURS[0]).all()


def test_development_set_by_kind():
    store = FaceStore(faces_of(2), ["a", "b"])
    assert development_set("deblurrer", store, standard_test_bank(), 32).score == "psnr"
    with pytest.raises(ValueError, match="labels"):
        development_set("parser", store, None, 32)
    with pytest.raises(ValueError, match="'upscaler'.* deblurrer, parser"):
        development_set("upscaler", store, None, 32)
    assert identity_network(None, 128) is None


def test_log_has_the_names_that_other_tools_read(finished, workplace):
    line = (workplace.folder / "whole" / "log.tsv").read_text().splitlines()[-1]
    row = dict(field.split("=") for field in line.split("\t"))
    assert {"stage", "step", "seconds", "loss", "l2", "total_variation", "learning_rate_generator"} <= set(row)
    assert {"psnr", "psnr_gain", "sharp_in_psnr", "ssim"} <= set(row)
    progress = json.loads((workplace.folder / "whole" / "progress.json").read_text())
    lines = (workplace.folder / "whole" / "log.tsv").read_text().splitlines()
    best = max(float(dict(field.split("=") for field in each.split("\t"))["psnr"]) for each in lines)
    assert progress["best"] == pytest.approx(best, abs=1e-5)
