import os

import numpy as np
import pytest

from trainers.datasets.mesh import REGION, FaceMesh


class BrightSpot:
    """An interpreter whose 468 points are all the middle of the input's brightness; its logit is given."""

    def __init__(self, logit=2.0, points_shape=(1, 1, 1, 1404)):
        self.logit, self.points_shape, self.seen = logit, points_shape, []

    def get_input_details(self):
        return [{"index": 7, "shape": np.array([1, 192, 192, 3])}]

    def get_output_details(self):
        # The score first: outputs are told apart by their size, not by their order.
        return [{"index": 4, "shape": np.array([1, 1, 1, 1])}, {"index": 9, "shape": np.array(self.points_shape)}]

    def set_tensor(self, index, value):
        assert index == 7 and value.dtype == np.float32 and value.shape == (1, 192, 192, 3)
        self.seen.append(value[0])

    def invoke(self):
        weights = self.seen[-1].sum(axis=-1)
        y, x = np.mgrid[:192, :192]
        self.spot = [(weights * x).sum() / weights.sum(), (weights * y).sum() / weights.sum(), -3.0]

    def get_tensor(self, index):
        if index == 4:
            return np.full((1, 1, 1, 1), self.logit, np.float32)
        return np.tile(np.float32(self.spot), 468).reshape(self.points_shape)


def spot_crop(side, x, y, radius=5):
    grid_y, grid_x = np.mgrid[:side, :side]
    bright = 255 * np.exp(-((grid_x - x) ** 2 + (grid_y - y) ** 2) / (2 * (radius / 2) ** 2))
    return np.repeat(bright[:, :, None], 3, axis=2).astype(np.uint8)


@pytest.mark.parametrize("side, size", [(160, 128), (128, 128), (320, 256), (96, 64)])
@pytest.mark.parametrize("region", [REGION, 1.0, 1.25])
def test_points_come_back_in_pixels_of_the_crop(side, size, region):
    """The spot is a smooth one: its middle survives resampling to well under a tenth of a pixel."""
    places = np.array([[0.52, 0.44], [0.4, 0.6]]) * side
    crops = np.stack([spot_crop(side, *place, radius=side / 20) for place in places])
    points, scores = FaceMesh("fake", region, interpreter=BrightSpot())(crops, size)
    assert points.shape == (2, 468, 2) and points.dtype == np.float32
    np.testing.assert_allclose(points, np.repeat(places[:, None], 468, axis=1), atol=0.1)
    np.testing.assert_allclose(scores, 1 / (1 + np.exp(-2.0)), rtol=1e-6)


def test_what_the_network_sees():
    """With the region 1.5 of a 128-pixel crop without margin every input pixel is a crop pixel; the rim is repeated."""
    fake = BrightSpot()
    crop = np.random.default_rng(0).integers(0, 256, (1, 128, 128, 3), np.uint8)
    FaceMesh("fake", 1.5, interpreter=fake)(crop, 128)
    np.testing.assert_allclose(
        fake.seen[0], np.pad(crop[0], ((32, 32), (32, 32), (0, 0)), mode="edge") / 255, atol=1e-6
    )


def test_scores_far_from_zero_do_not_overflow():
    crops = np.full((1, 160, 160, 3), 9, np.uint8)
    with np.errstate(all="raise"):
        assert FaceMesh("fake", interpreter=BrightSpot(-1000.0))(crops)[1][0] < 1e-20
        assert FaceMesh("fake", interpreter=BrightSpot(1000.0))(crops)[1][0] == 1


def test_no_crops():
    points, scores = FaceMesh("fake", interpreter=BrightSpot())(np.zeros((0, 160, 160, 3), np.uint8))
    assert points.shape == (0, 468, 2) and scores.shape == (0,)


@pytest.mark.parametrize(
    "crops, size, words",
    [
        (np.zeros((1, 160, 150, 3), np.uint8), 128, "uint8 \\(N, S, S, 3\\)"),
        (np.zeros((1, 160, 160, 3), np.float32), 128, "float32"),
        (np.zeros((160, 160, 3), np.uint8), 128, "uint8 \\(N, S, S, 3\\)"),
        (np.zeros((1, 100, 100, 3), np.uint8), 128, "canonical ones of 128"),
        (np.zeros((1, 159, 159, 3), np.uint8), 128, "equal margin"),
    ],
)
def test_wrong_crops_are_refused(crops, size, words):
    with pytest.raises(ValueError, match=words):
        FaceMesh("fake", interpreter=BrightSpot())(crops, size)


def test_wrong_files_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="face-mesh file"):
        FaceMesh(tmp_path / "nothing.tflite")
    with pytest.raises(ValueError, match=r"fake .*\(1, 300\)"):
        FaceMesh("fake", interpreter=BrightSpot(points_shape=(1, 300)))
    with pytest.raises(ValueError, match="above 0"):
        FaceMesh("fake", 0, interpreter=BrightSpot())


def test_a_file_that_is_no_network(tmp_path):
    pytest.importorskip("ai_edge_litert", reason="ai-edge-litert is not installed")
    (tmp_path / "broken.tflite").write_bytes(b"no network at all")
    with pytest.raises(ValueError, match="broken.tflite"):
        FaceMesh(tmp_path / "broken.tflite")


@pytest.mark.skipif("DEBLUR_ZOO_FACE_MESH" not in os.environ, reason="DEBLUR_ZOO_FACE_MESH names no face-mesh file")
def test_the_real_network_on_the_astronaut():
    from skimage.data import astronaut

    from deblur_zoo.face_classes import FaceClass
    from deblur_zoo.faces.warp import align
    from trainers.datasets.mesh_labels import POLYGONS, five_points, refusal

    # Read off the picture by eye: pupils, nose tip, corners of the mouth.
    by_eye = np.array([[204, 101], [247, 103], [224, 128], [201, 139], [246, 141]], float)
    crop, matrix = align(astronaut(), by_eye, 128, 16)
    points, scores = FaceMesh(os.environ["DEBLUR_ZOO_FACE_MESH"])(crop[None])
    assert refusal(points[0], scores[0], 128, 16) == "" and scores[0] > 0.99
    expected = by_eye @ matrix[:, :2].T + matrix[:, 2]
    # Four pixels of the crop: four of the photo, which is how well an eye reads them off.
    assert np.linalg.norm(five_points(points[0]) - expected, axis=1).max() < 4
    middles = {label: points[0][list(indices)].mean(axis=0) for label, indices in POLYGONS.items()}
    assert middles[FaceClass.LEFT_BROW][1] < middles[FaceClass.LEFT_EYE][1] < middles[FaceClass.NOSE][1]
    assert middles[FaceClass.UPPER_LIP][1] < middles[FaceClass.INNER_MOUTH][1] < middles[FaceClass.LOWER_LIP][1]
    assert middles[FaceClass.LEFT_EYE][0] < middles[FaceClass.NOSE][0] < middles[FaceClass.RIGHT_EYE][0]
