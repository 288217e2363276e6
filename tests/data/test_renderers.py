"""Host and device render the same pictures of a plan, and both are right by SciPy."""

import importlib.util
import os
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from deblur_zoo.blur.kernels import make_bank
from deblur_zoo.data import host_synthesis
from deblur_zoo.data.augmentation import Augmentation
from deblur_zoo.data.synthesis import PairMaker, Synthesis
from tests.commands import run_python
from tests.data import render_on_backend

HERE = Path(__file__).parent
SIZE = 40
COUNT = 12


@pytest.fixture(scope="module")
def maker():
    generator = np.random.default_rng(0)
    faces = generator.integers(0, 256, (7, 44, 48, 3), dtype=np.uint8)
    labels = generator.integers(0, 11, faces.shape[:3], dtype=np.uint8)
    # Banks of different padded sizes; an even kernel size; warps that lead far beyond the border.
    banks = {"trajectory": make_bank("trajectory", 5, (13, 27)), "gaussian_process": make_bank("gaussian_process", 5)}
    synthesis = Synthesis(SIZE, Augmentation(0.3, 30, 80, 0.5), 0.05, 0.25, {"trajectory": 0.5, "gaussian_process": 1})
    return PairMaker(faces, banks, synthesis, 3, labels)


@pytest.fixture(scope="module")
def plans(maker):
    plans = maker.plans(5, COUNT)
    assert plans["unblurred"].any() and plans["mirrored"].any() and not plans["mirrored"].all()
    return plans


def inputs(maker):
    return {
        "faces": maker.faces,
        "labels": maker.labels,
        "kernels": maker.kernels,
        "mirrored_classes": maker.mirrored_classes,
        "size": SIZE,
    }


@pytest.fixture(scope="module")
def on_tensorflow(maker, plans):
    return render_on_backend.device_outputs(**inputs(maker), plan=plans)


@pytest.fixture(scope="module")
def on_tensorflow_compiled(maker, plans):
    import tensorflow as tf

    compile = lambda function: tf.function(function, jit_compile=True)  # noqa: E731
    return render_on_backend.device_outputs(**inputs(maker), plan=plans, compile=compile)


@pytest.fixture(scope="module")
def on_jax(maker, plans, tmp_path_factory):
    if importlib.util.find_spec("jax") is None:
        pytest.skip("JAX is not installed")
    folder = tmp_path_factory.mktemp("jax")
    np.savez(folder / "in.npz", **inputs(maker), **{f"plan_{name}": values for name, values in plans.items()})
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    finished = run_python(HERE / "render_on_backend.py", folder / "in.npz", folder / "out.npz", env=environment)
    assert finished.returncode == 0, finished.stderr
    with np.load(folder / "out.npz") as file:
        return dict(file)


def scipy_coordinates(matrix):
    """Rows and columns, in pixels, rounded to 1/32 as the design says, in floating point."""
    y, x = np.mgrid[:SIZE, :SIZE].astype(np.float64)
    a = matrix / 65536.0
    rows, columns = a[1, 0] * x + a[1, 1] * y + a[1, 2], a[0, 0] * x + a[0, 1] * y + a[0, 2]
    return np.floor(np.stack([rows, columns]) * 32 + 0.5) / 32


def test_host_warp_equals_scipy(maker, plans):
    # Far beyond the border, on every side.
    assert min(scipy_coordinates(matrix).min() for matrix in plans["matrix"]) < -10
    assert max(scipy_coordinates(matrix).max() for matrix in plans["matrix"]) > 58
    for index, matrix in zip(plans["face"], plans["matrix"], strict=True):
        coordinates = scipy_coordinates(matrix)
        warped = host_synthesis.warp(maker.faces[index], matrix, SIZE)
        for channel in range(3):
            plane = maker.faces[index][..., channel].astype(np.float64)
            expected = ndimage.map_coordinates(plane, coordinates, order=1, mode="mirror")
            # Halves are rounded upwards; the sums are multiples of 1/1024, SciPy's are off by 1e-12.
            np.testing.assert_array_equal(warped[..., channel], np.floor(expected + 0.5 + 1e-6))


def test_rounded_coordinates_are_near_the_true_ones(maker, plans):
    """A smooth picture is warped as exactly as 8 bits allow: 1/64 pixel of its steepest slope, and half a level."""
    y, x = np.mgrid[:44, :48]
    smooth = np.repeat((128 + 60 * np.sin(x / 6) * np.cos(y / 7))[..., None], 3, axis=2)
    face = np.rint(smooth).astype(np.uint8)
    y, x = np.mgrid[:SIZE, :SIZE].astype(np.float64)
    for matrix in plans["matrix"] / 65536.0:
        exact = [matrix[axis, 0] * x + matrix[axis, 1] * y + matrix[axis, 2] for axis in (1, 0)]
        expected = ndimage.map_coordinates(face[..., 0].astype(np.float64), exact, order=1, mode="mirror")
        fixed = np.rint(matrix * 65536).astype(np.int32)
        warped = host_synthesis.warp(face, fixed, SIZE)[..., 0]
        # Neighbouring pixels differ by at most 11 levels.
        assert np.abs(warped - expected).max() < 0.5 + 2 * 11 / 64


def test_host_labels_equal_scipy(maker, plans):
    for index, matrix in zip(plans["face"], plans["matrix"], strict=True):
        coordinates = np.floor(scipy_coordinates(matrix) + 0.5)
        expected = ndimage.map_coordinates(maker.labels[index], coordinates, order=0, mode="mirror")
        np.testing.assert_array_equal(host_synthesis.warp_labels(maker.labels[index], matrix, SIZE), expected)


def test_degraded_host_picture_equals_scipy(maker, plans):
    sharp = host_synthesis.warp(maker.faces[0], plans["matrix"][0], SIZE)
    kernel, key = maker.kernel(plans["kernel"][0]), plans["key"][0]
    blurred = [ndimage.convolve(sharp[..., c].astype(np.float64), kernel, mode="mirror") for c in range(3)]
    without = host_synthesis.blur_and_noise(sharp, kernel, 0.0, key)
    np.testing.assert_allclose(without / 255, np.stack(blurred, -1) / 255, atol=1e-6)
    noise = (host_synthesis.blur_and_noise(sharp, kernel, 0.1, key) - without) / 25.5
    assert abs(noise.std() - 1) < 0.05 and abs(noise.mean()) < 0.06


def test_host_rounds_and_clips():
    levels = np.array([-3.0, 0.4, 0.6, 254.6, 300.0], np.float32)
    np.testing.assert_array_equal(host_synthesis.round_to_bytes(levels), [0, 0, 1, 255, 255])


@pytest.mark.parametrize("backend", ["on_tensorflow", "on_tensorflow_compiled", "on_jax"])
def test_device_equals_host(backend, request, maker, plans):
    device = request.getfixturevalue(backend)
    from deblur_zoo.data.random_normal import standard_normal, threefry

    pairs = [maker.pair(number) for number in range(5, 5 + COUNT)]
    for i, (blurred, sharp, labels) in enumerate(pairs):
        counters = np.arange(1000, dtype=np.uint32)
        words = threefry(plans["key"][i], (counters, np.zeros_like(counters)))
        np.testing.assert_array_equal(device["words"][:, i], words)
        np.testing.assert_allclose(device["normal"][i], standard_normal(plans["key"][i], (SIZE, SIZE, 3)), atol=1e-5)
        np.testing.assert_allclose(device["normal_odd"][i], standard_normal(plans["key"][i], (7, 5, 3)), atol=1e-5)
        np.testing.assert_array_equal(device["warped"][i], sharp)
        np.testing.assert_array_equal(device["sharp"][i], sharp)
        np.testing.assert_array_equal(device["labels"][i], labels)
        kernel = maker.kernel(plans["kernel"][i])
        degraded = host_synthesis.blur_and_noise(sharp, kernel, plans["sigma"][i], plans["key"][i])
        np.testing.assert_allclose(device["degraded"][i] / 255, degraded / 255, atol=1e-5)
        if plans["unblurred"][i]:
            np.testing.assert_array_equal(device["blurred"][i], sharp)
        else:
            # Differences of 1e-5 move a value across a rounding border in less than one pixel of 200.
            difference = np.abs(device["blurred"][i].astype(int) - blurred)
            assert difference.max() <= 1 and (difference > 0).mean() < 5e-3


def test_keras_under_jax_trains_on_the_device_arrays_themselves(on_jax):
    assert on_jax["no_copy"]


def test_auto_is_the_host_on_a_processor_under_jax(on_jax):
    assert on_jax["place"] == "host"


def test_mirrored_labels_swap_left_and_right(maker):
    number = next(n for n in range(5, 50) if maker.plan(n)["mirrored"])
    plan = maker.plan(number)
    plain = host_synthesis.warp_labels(maker.labels[plan["face"]], plan["matrix"], SIZE)
    swapped = maker.pair(number)[2]
    for before, after in [(2, 3), (3, 2), (4, 5), (5, 4), (0, 0), (6, 6), (10, 10)]:
        assert (swapped[plain == before] == after).all() and (plain == before).any()
