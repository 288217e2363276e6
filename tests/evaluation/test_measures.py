"""Measures by networks, which stand-ins replace here; dlib's own where it is installed."""

import importlib.util
from types import SimpleNamespace

import numpy as np
import pytest
from skimage import data

from deblur_zoo.evaluation.measures import ByClass, Detection, FeatureDistance, Landmarks, Parsing
from deblur_zoo.evaluation.protocol import Batch
from deblur_zoo.faces.detection import Face
from deblur_zoo.faces.dlib_networks import DlibNetworks

FACE = data.astronaut()[40:168, 160:288]
DLIB = importlib.util.find_spec("dlib") and importlib.util.find_spec("face_recognition_models")


def batch_of(*images):
    sharp = np.stack(images)
    return Batch(sharp, sharp // 2, np.arange(len(sharp)), "13")


def test_detection_needs_half_of_the_sharp_pictures_box():
    boxes = {10: [0, 0, 10, 10], 11: [0, 0, 10, 6], 12: [0, 0, 10, 4], 13: [50, 50, 60, 60]}

    def detect(image):
        value = int(image[0, 0, 0])
        return [Face(np.array(boxes[value], float), np.zeros((5, 2)), 1.0)] if value in boxes else []

    sharp = [np.full((4, 4, 3), value, np.uint8) for value in (10, 10, 10, 10, 10, 99)]
    restored = np.stack([np.full((4, 4, 3), value, np.uint8) for value in (10, 11, 12, 13, 99, 10)])
    found = Detection(detect)(None, batch_of(*sharp), restored)["detected"]
    # Shares in common 1, 0.6, 0.4 and 0; not found; not found in the sharp picture.
    np.testing.assert_array_equal(found, [1, 1, 0, 0, 0, np.nan])


def test_parsing_counts_by_hand():
    labels = np.array([[[1, 1, 6, 255]]], np.uint8)
    parser = SimpleNamespace(parse=lambda images, batch_size: np.array([[[1, 6, 6, 0]]], np.uint8))
    test_set = SimpleNamespace(labels=labels)
    found = Parsing(parser, {})(test_set, batch_of(np.zeros((1, 4, 3), np.uint8)), np.zeros((1, 1, 4, 3), np.uint8))
    assert [found[name][0] for name in ("hits face", "size face", "hits nose", "size nose")] == [1, 3, 1, 3]
    assert found["hits class-2"][0] == 1 and found["size class-3"][0] == 3 and found["size hair"][0] == 0
    for measure in (ByClass(), Parsing(parser, {})):
        assert measure(SimpleNamespace(labels=None), None, None) == {}


def test_feature_distance_by_hand():
    network = SimpleNamespace(features=lambda images: {"a": images, "b": 2 * images[:, :1]})
    sharp, restored = np.zeros((1, 2, 2, 3), np.uint8), np.full((1, 2, 2, 3), 51, np.uint8)
    found = FeatureDistance(network, {})(None, batch_of(*sharp), restored)
    assert found["feature_distance"][0] == pytest.approx(0.2**2 + 0.4**2)


def test_landmarks_with_the_sharp_pictures_box():
    square = np.array([[0, 0], [30, 0], [0, 40], [30, 40]], float)
    asked = []

    def points(image, box):
        asked.append(box)
        return square + (0 if image[0, 0, 0] == 10 else [3, 4])

    finder = SimpleNamespace(box=lambda image: f"box of {image[0, 0, 0]}", points=points)
    sharp = np.full((2, 2, 3), 10, np.uint8)
    found = Landmarks(finder)(None, batch_of(sharp), sharp[None] // 2)
    assert found["landmark_error"][0] == pytest.approx(0.1) and set(asked) == {"box of 10"}


@pytest.mark.skipif(not DLIB, reason="dlib and its weights are not installed")
def test_dlibs_networks():
    networks = DlibNetworks()
    points = networks.points(FACE, networks.box(FACE))
    # dlib's own order: 36 to 41 is the eye at the left of the picture, 48 to 67 the mouth below it.
    assert points.shape == (68, 2) and points[36:42, 0].mean() < points[42:48, 0].mean()
    assert points[48:, 1].mean() > points[36:48, 1].mean() + 20
    embeddings = networks.embeddings(np.stack([FACE, FACE // 2 + 40, FACE[:, ::-1] // 3]))
    # dlib's authors: pictures of one person are closer than 0.6.
    assert np.linalg.norm(embeddings[0] - embeddings[1]) < 0.6


@pytest.mark.skipif(bool(DLIB), reason="dlib and its weights are installed")
def test_without_dlib_the_sentence_says_how_to_get_it():
    with pytest.raises(ImportError, match="pip install .*dlib"):
        DlibNetworks()
