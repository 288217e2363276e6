import keras
import numpy as np
import pytest
from keras import ops
from scipy import ndimage

from deblur_zoo.faces.alignment import ARCFACE_POINTS, canonical_points, similarity_transform
from deblur_zoo.features.identity import IdentityNetwork, arcface_scale_and_shift, interpolation_matrix


def small_network(outputs=8, side=112):
    """Range 0-255 in, batch norm with moving statistics that differ from a batch's, as the real file has."""
    keras.utils.set_random_seed(3)
    inputs = keras.Input((side, side, 3))
    x = keras.layers.Rescaling(1 / 128, offset=-1)(inputs)
    x = keras.layers.Conv2D(6, 16, strides=16, name="patches")(x)
    x = keras.layers.BatchNormalization(name="norm")(x)
    x = keras.layers.PReLU(shared_axes=(1, 2), name="activation")(x)
    x = keras.layers.Flatten()(x)
    model = keras.Model(inputs, keras.layers.Dense(outputs, name="fc")(x))
    model.get_layer("norm").moving_mean.assign([0.1, -0.2, 0.3, 0.0, 0.1, 0.2])
    model.get_layer("norm").moving_variance.assign([2.0, 0.5, 1.0, 0.3, 3.0, 1.0])
    return model


@pytest.fixture(scope="module")
def network_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("identity") / "small.keras"
    small_network().save(path)
    return path


def smooth_faces(count=2, height=128, width=128, seed=0):
    noise = np.random.default_rng(seed).random((count, height, width, 3))
    smooth = ndimage.gaussian_filter(noise, (0, 8, 8, 0))
    return ((smooth - smooth.min()) / (smooth.max() - smooth.min())).astype(np.float32)


def warp_by_scipy(image):
    """Bilinear sampling at the inverse of the least-squares scale and shift, mirrored border."""
    points, target = canonical_points(), ARCFACE_POINTS
    # Least squares by a general solver: unknowns scale, x shift, y shift.
    system = np.zeros((10, 3))
    system[0::2] = np.stack([points[:, 0], np.ones(5), np.zeros(5)], 1)
    system[1::2] = np.stack([points[:, 1], np.zeros(5), np.ones(5)], 1)
    scale, x_shift, y_shift = np.linalg.lstsq(system, target.reshape(-1), rcond=None)[0]
    v, u = np.mgrid[:112, :112]
    where = [(v - y_shift) / scale, (u - x_shift) / scale]
    channels = [ndimage.map_coordinates(image[..., c], where, order=1, mode="mirror") for c in range(3)]
    return np.stack(channels, -1)


def test_warp_without_rotation_moves_the_points_by_less_than_a_fifth_of_a_pixel():
    scale, shift = arcface_scale_and_shift()
    full = similarity_transform(canonical_points(), ARCFACE_POINTS)
    with_rotation = canonical_points() @ full[:, :2].T + full[:, 2]
    assert np.abs(scale * canonical_points() + shift - with_rotation).max() < 0.2


def test_interpolation_matrix_equals_scipy_inside_and_far_outside():
    signal = np.random.default_rng(1).random(9)
    positions = np.array([-19.3, -8.0, -0.4, 0.0, 0.25, 3.5, 7.99, 8.0, 8.6, 17.2])
    expected = ndimage.map_coordinates(signal, [positions], order=1, mode="mirror")
    np.testing.assert_allclose(interpolation_matrix(positions, 9) @ signal, expected, atol=1e-6)


def test_wide_filter_removes_what_would_alias():
    stripes = np.tile([0.0, 1.0], 32)
    sampled = interpolation_matrix(np.arange(8, 56, 4.0), 64, width=4.0) @ stripes
    np.testing.assert_allclose(sampled, 0.5, atol=1e-6)


def test_warp_equals_scipy_sampling(network_file):
    images = smooth_faces()
    warped = ops.convert_to_numpy(IdentityNetwork(network_file).warp(images))
    expected = np.stack([warp_by_scipy(image) for image in images])
    # The filter is 1.06 pixels wide, not 1: on these images (sigma 8) the difference stays under a grey level,
    # while a warp that is off by half a pixel differs by seven.
    np.testing.assert_allclose(warped, expected, atol=1 / 255)


def test_embedding_is_the_files_network_on_the_warped_image_times_255(network_file):
    images = smooth_faces()
    network = IdentityNetwork(network_file)
    raw = keras.saving.load_model(network_file)
    expected = raw.predict(255 * ops.convert_to_numpy(network.warp(images)), verbose=0)
    np.testing.assert_allclose(ops.convert_to_numpy(network(images)), expected, rtol=1e-4, atol=1e-5)
    unit = ops.convert_to_numpy(network(images, normalise=True))
    np.testing.assert_allclose(unit, expected / np.linalg.norm(expected, axis=1, keepdims=True), atol=1e-5)


def test_named_layers_and_dtype_do_not_depend_on_the_global_policy(network_file):
    images = smooth_faces()
    expected = ops.convert_to_numpy(IdentityNetwork(network_file)(images))
    previous = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy("mixed_bfloat16")
    try:
        network = IdentityNetwork(network_file, layers=["activation", "fc"])
        embedding, layers = network.features(ops.cast(images, "bfloat16"))
        exact = network(images)
    finally:
        keras.mixed_precision.set_dtype_policy(previous)
    np.testing.assert_allclose(ops.convert_to_numpy(exact), expected, atol=1e-5)
    assert layers["activation"].shape == (2, 7, 7, 6)
    np.testing.assert_array_equal(ops.convert_to_numpy(layers["fc"]), ops.convert_to_numpy(embedding))
    fast = ops.convert_to_numpy(IdentityNetwork(network_file, dtype="mixed_bfloat16")(images))
    assert not np.array_equal(fast, expected)
    np.testing.assert_allclose(fast, expected, atol=0.05 * np.abs(expected).max())


def test_region_with_margin_shows_the_network_the_same_pixels(network_file):
    with_margin = smooth_faces(height=160, width=160)
    plain = IdentityNetwork(network_file)
    wide = IdentityNetwork(network_file, region=(-16, -16, 160, 160))
    # The top 12 warped rows lie above the canonical crop: mirrored without the margin, real pixels with it.
    inside = (slice(None), slice(13, None))
    np.testing.assert_allclose(
        ops.convert_to_numpy(wide.warp(with_margin))[inside],
        ops.convert_to_numpy(plain.warp(with_margin[:, 16:144, 16:144]))[inside],
        atol=1e-5,
    )
    part = IdentityNetwork(network_file, region=(8, 16, 112, 96))
    assert part(with_margin[:, 24:136, 32:128]).shape == (2, 8)


def test_larger_canonical_crop_of_the_same_face_gives_nearly_the_same_warp(network_file):
    large = smooth_faces(height=256, width=256)
    # Canonical points are fractions of the crop with pixel centres at integers, so pixel 2i of 256 is pixel i of 128.
    small = ndimage.gaussian_filter(large, (0, 0.8, 0.8, 0))[:, ::2, ::2]
    network = IdentityNetwork(network_file, canonical_size=256)
    difference = ops.convert_to_numpy(network.warp(large)) - ops.convert_to_numpy(
        IdentityNetwork(network_file).warp(small)
    )
    assert np.abs(difference[:, 14:]).max() < 3 / 255


def test_gradient_reaches_the_image_and_no_weight_trains(network_file, slope):
    network = IdentityNetwork(network_file)
    images = smooth_faces()

    def value(x):
        return float(ops.sum(network(x) ** 2))

    gradient = slope(lambda x: network(x) ** 2, images)
    # Along the gradient itself: in another direction the slope is a sum that cancels, and float32 shows in it.
    length = float(np.sqrt(np.sum(gradient**2)))
    direction, step = gradient / length, 0.02
    difference = (value(images + step * direction) - value(images - step * direction)) / (2 * step)
    assert abs(difference - length) < 0.02 * length
    assert network._network.trainable_variables == []


def test_wrong_files_give_one_clear_sentence(network_file, tmp_path):
    with pytest.raises(FileNotFoundError, match="missing.keras"):
        IdentityNetwork(tmp_path / "missing.keras")
    (tmp_path / "text.keras").write_text("hello")
    with pytest.raises(ValueError, match="text.keras"):
        IdentityNetwork(tmp_path / "text.keras")
    (tmp_path / "network.h5").write_text("hello")
    with pytest.raises(ValueError, match="got network.h5"):
        IdentityNetwork(tmp_path / "network.h5")
    small_network(side=96).save(tmp_path / "other.keras")
    with pytest.raises(ValueError, match=r"identity network: .*\(None, 96, 96, 3\)"):
        IdentityNetwork(tmp_path / "other.keras")
    with pytest.raises(ValueError, match="'relu9'.*patches"):
        IdentityNetwork(network_file, layers=["relu9"])
    with pytest.raises(ValueError, match=r"\(N, 128, 128, 3\), got \(1, 64, 64, 3\)"):
        IdentityNetwork(network_file)(np.zeros((1, 64, 64, 3), np.float32))
