import json

import keras
import numpy as np
import pytest
from keras import ops

from deblur_zoo.features import load_feature_network
from deblur_zoo.features.identity import IdentityNetwork
from deblur_zoo.features.input_conversion import InputConversion
from deblur_zoo.features.keras_file import KerasFileNetwork
from deblur_zoo.features.network import FeatureNetwork
from deblur_zoo.features.vgg import VGG

TINY = (4, 5, 6, 7, 8)


def to_numpy(activations):
    return {name: ops.convert_to_numpy(value) for name, value in activations.items()}


def passing_network(path, height=None, width=None):
    """A file whose layer "same" is its input, and "mean" the mean colour."""
    inputs = keras.Input((height, width, 3))
    same = keras.layers.Identity(name="same")(inputs)
    mean = keras.layers.GlobalAveragePooling2D(name="mean")(same)
    keras.Model(inputs, keras.layers.Dense(2, name="end")(mean)).save(path)
    return path


class Plain(FeatureNetwork):
    """Two layers: the images, and their red minus blue."""

    def _activations(self, images):
        return {"images": images, "difference": images[..., 0] - images[..., 2]}


def test_scales_make_the_mean_absolute_activation_one():
    # Mean of the images (2 * (0.5 + 0.1 + 0.3) / 3 + (0 + 0.6 + 0.9) / 3) / 3 with the last one counted once, though
    # it runs alone: (2 * 0.3 + 0.5) / 3. Differences 0.2, 0.2, -0.9: absolute mean 1.3 / 3.
    colours = np.array([[0.5, 0.1, 0.3], [0.5, 0.1, 0.3], [0.0, 0.6, 0.9]], np.float32)
    faces = np.tile(colours[:, None, None], (1, 4, 5, 1))
    network = Plain("plain", ["images", "difference"])
    scales = network.measure_scales(faces, batch_size=2)
    assert scales == pytest.approx({"images": 3 / 1.1, "difference": 3 / 1.3}, rel=1e-6)
    assert network.scales is None
    # A recipe stores them as JSON.
    scaled = Plain("plain", ["images", "difference"], json.loads(json.dumps(scales)))
    activations = to_numpy(scaled.features(faces))
    for values in activations.values():
        assert np.abs(values).mean() == pytest.approx(1, rel=1e-6)
    np.testing.assert_allclose(activations["difference"][2], -0.9 * 3 / 1.3, rtol=1e-6)
    # Measuring again measures the network, not its scales.
    assert scaled.measure_scales(faces) == pytest.approx(scales)


def test_scales_that_are_none_are_refused():
    with pytest.raises(ValueError, match="scales .*images.*plain .*difference, images"):
        Plain("plain", ["images", "difference"], {"images": 1.0})
    for scale in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="scale of layer images"):
            Plain("plain", ["images"], {"images": scale})
    with pytest.raises(ValueError, match="layer difference .* 0.0"):
        Plain("plain", ["difference"]).measure_scales(np.full((1, 2, 2, 3), 0.5, np.float32))
    with pytest.raises(ValueError, match="one image"):
        Plain("plain", ["images"]).measure_scales(np.zeros((0, 2, 2, 3), np.float32))


def test_vgg_with_scales(tmp_path, writers, images):
    path = tmp_path / "w.h5"
    writers.write_keras_h5(path, writers.random_convolutions(), writers.block_name)
    specification = {"kind": "vgg16", "weights": str(path), "layers": ["relu2_2", "pool5"], "widths": TINY}
    plain = load_feature_network(specification)
    scales = plain.measure_scales(images, batch_size=1)
    scaled = to_numpy(load_feature_network({**specification, "scales": scales}).features(images))
    for name, values in to_numpy(plain.features(images)).items():
        assert scales[name] == pytest.approx(1 / np.abs(values).mean(), rel=1e-5)
        np.testing.assert_allclose(scaled[name], values * scales[name], rtol=1e-5)


def test_conversion_worked_by_hand():
    pixel = np.array([0.2, 0.4, 0.6], np.float32).reshape(1, 1, 1, 3)
    conversion = InputConversion((0, 255), "bgr", mean=(100, 50, 10), deviation=(2, 4, 5))
    # Blue 153, green 102, red 51: (153 - 100) / 2, (102 - 50) / 4, (51 - 10) / 5.
    np.testing.assert_allclose(ops.convert_to_numpy(conversion(pixel))[0, 0, 0], [26.5, 13, 8.2], rtol=1e-5)
    # 2 x - 1.
    np.testing.assert_allclose(
        ops.convert_to_numpy(InputConversion((-1, 1))(pixel))[0, 0, 0], [-0.6, -0.2, 0.2], atol=1e-6
    )


def test_resizing():
    # Doubling puts samples at -1/4, 1/4, 3/4 and 5/4 between pixels 0 and 1; outside it mirrors.
    row = np.array([0.0, 1.0], np.float32).reshape(1, 1, 2, 1) * np.ones((1, 1, 1, 3), np.float32)
    doubled = ops.convert_to_numpy(InputConversion(size=(1, 4))(row))
    np.testing.assert_allclose(doubled[0, 0, :, 0], [0.25, 0.25, 0.75, 0.75], atol=1e-6)
    # Shrinking by 3 averages with weights 1/9, 2/9, 3/9, 2/9, 1/9: of stripes of one pixel, 5/9 are a sample's own.
    stripes = (np.arange(33) % 2).astype(np.float32)[None, None, :, None] * np.ones((1, 3, 1, 3), np.float32)
    shrunk = ops.convert_to_numpy(InputConversion(size=(1, 11))(stripes))
    assert shrunk.shape == (1, 1, 11, 3)
    np.testing.assert_allclose(shrunk[0, 0, :, 0], [5 / 9, 4 / 9] * 5 + [5 / 9], atol=1e-6)
    # A slope stays where it was.
    slope = np.broadcast_to(np.arange(32, dtype=np.float32)[None, :, None, None], (1, 32, 4, 3))
    # Pixel i of 8 has its centre at 4 i + 1.5.
    shrunk = ops.convert_to_numpy(InputConversion(size=(8, 4))(slope))[0, 2:-2, 0, 0]
    np.testing.assert_allclose(shrunk, 4 * np.arange(2, 6) + 1.5, rtol=1e-5)


@pytest.mark.parametrize(
    "arguments,sentence",
    [
        ({"channel_order": "gbr"}, "channel order .*'gbr'"),
        ({"input_range": (255, 0)}, "input_range"),
        ({"input_range": 255}, "input_range .*255"),
        ({"mean": (1, 2)}, "mean .*3 finite"),
        ({"mean": ("a", 1, 2)}, "mean .*3 finite"),
        ({"deviation": (1, 1, 0)}, "deviation"),
        ({"size": (112,)}, r"size .*\(height, width\)"),
        ({"size": (112, 0.5)}, r"size .*\(height, width\)"),
    ],
)
def test_conversions_that_are_none_are_refused(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        InputConversion(**arguments)


def test_keras_file_converts_the_input(tmp_path, images):
    path = passing_network(tmp_path / "any.keras")
    network = KerasFileNetwork(path, ["mean", "same"], (0, 255), channel_order="bgr", mean=[1, 2, 3])
    activations = to_numpy(network.features(images))
    expected = images[..., ::-1] * 255.0 - [1, 2, 3]
    np.testing.assert_allclose(activations["same"], expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(activations["mean"], expected.mean(axis=(1, 2)), rtol=1e-4)


def test_keras_file_of_fixed_size(tmp_path, images):
    path = passing_network(tmp_path / "fixed.keras", 16, 20)
    with pytest.raises(ValueError, match=r"\(16, 20\) .*\(2, 32, 40, 3\).*size"):
        KerasFileNetwork(path, ["same"], (0, 1)).features(images)
    with pytest.raises(ValueError, match=r"\(16, 20\) .*size.*\(16, 16\)"):
        KerasFileNetwork(path, ["same"], (0, 1), size=(16, 16))
    same = to_numpy(KerasFileNetwork(path, ["same"], (0, 1), size=[16, 20]).features(images))["same"]
    # Blocks of 4x4 equal pixels: their middle pixels of half size are the blocks' colours in a triangle of weights
    # 1/8, 3/8, 3/8, 1/8 about the block's first half: 7/8 own colour, 1/8 of the block before.
    rows = (7 * images[:, 4::4] + images[:, :-4:4]) / 8
    rows = (7 * rows[:, :, 4::4] + rows[:, :, :-4:4]) / 8
    np.testing.assert_allclose(same[:, 2::2, 2::2], rows, atol=1e-5)


def test_keras_file_with_a_network_inside(tmp_path, images):
    keras.utils.set_random_seed(1)
    inner = keras.Sequential([keras.Input((None, None, 3)), keras.layers.Conv2D(2, 3)], name="inner")
    inputs = keras.Input((None, None, 3))
    model = keras.Model(inputs, keras.layers.ReLU(name="last")(inner(inputs)))
    model.save(tmp_path / "nested.keras")
    expected = ops.convert_to_numpy(model(images))
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        network = KerasFileNetwork(tmp_path / "nested.keras", ["inner", "last"], (0, 1))
    finally:
        keras.config.set_dtype_policy("float32")
    activations = to_numpy(network.features(images))
    np.testing.assert_allclose(activations["last"], expected, atol=1e-5)
    assert activations["inner"].min() < 0
    assert network._network.trainable_variables == []


def test_keras_file_gradient(tmp_path, images, slope):
    network = KerasFileNetwork(passing_network(tmp_path / "any.keras"), ["same"], (-1, 1), size=(8, 10))
    # 2 from the range; each picture's pixels of every channel share 80 weights of sum 1, mirrored ones included.
    gradient = slope(lambda x: network.features(x)["same"], images)
    np.testing.assert_allclose(gradient.sum(axis=(1, 2)), 2 * 80, rtol=1e-4)


def test_identity_layers_are_those_of_the_identity_network(tmp_path):
    keras.utils.set_random_seed(2)
    inputs = keras.Input((112, 112, 3))
    x = keras.layers.Conv2D(4, 16, strides=16, name="patches")(inputs)
    keras.Model(inputs, keras.layers.Dense(5)(keras.layers.Flatten()(x))).save(tmp_path / "identity.keras")
    faces = np.random.default_rng(0).random((2, 112, 96, 3)).astype(np.float32)
    specification = {
        "kind": "identity",
        "weights": tmp_path / "identity.keras",
        "layers": ["embedding", "patches"],
        "region": [8, 16, 112, 96],
        "scales": {"patches": 2.0, "embedding": 0.5},
    }
    embedding, layers = IdentityNetwork(
        tmp_path / "identity.keras", layers=["patches"], region=(8, 16, 112, 96)
    ).features(faces)
    activations = to_numpy(load_feature_network(specification).features(faces))
    np.testing.assert_allclose(activations["embedding"], 0.5 * ops.convert_to_numpy(embedding), rtol=1e-5)
    np.testing.assert_allclose(activations["patches"], 2 * ops.convert_to_numpy(layers["patches"]), rtol=1e-5)
    with pytest.raises(ValueError, match="'relu'"):
        load_feature_network({**specification, "layers": ["relu"], "scales": None})


def test_factory_loads_every_kind(tmp_path, writers, images):
    convolutions = writers.random_convolutions()
    writers.write_keras_h5(tmp_path / "w.h5", convolutions, writers.block_name)
    writers.write_keras_h5(tmp_path / "f.h5", convolutions)
    passing_network(tmp_path / "any.keras")
    tiny = {"layers": ["relu1_2"], "widths": TINY}
    vgg = load_feature_network({"kind": "vgg16", "weights": tmp_path / "w.h5", **tiny})
    face = load_feature_network({"kind": "vgg_face", "weights": tmp_path / "f.h5", **tiny})
    assert isinstance(vgg, VGG) and vgg.title == "VGG-16"
    # The same weights behind different means.
    one, other = (to_numpy(network.features(images))["relu1_2"] for network in (vgg, face))
    assert one.shape == other.shape and not np.allclose(one, other, rtol=0.01)
    entries = {"kind": "keras_file", "weights": tmp_path / "any.keras", "layers": ["same"], "input_range": [0, 1]}
    np.testing.assert_allclose(to_numpy(load_feature_network(entries).features(images))["same"], images, atol=1e-6)
    with pytest.raises(ValueError, match="VGG-19: it has no block3_conv4"):
        load_feature_network({"kind": "vgg19", "weights": tmp_path / "w.h5", **tiny})


@pytest.mark.parametrize(
    "specification,sentence",
    [
        ({"kind": "vgg11"}, "'vgg11'.*vgg16, vgg19, vgg_face, identity, keras_file"),
        ({}, "None"),
        ({"kind": "vgg19", "layers": ["pool1"]}, "vgg19 needs 'weights'"),
        ({"kind": "vgg19", "weights": "a.h5"}, "needs 'layers'"),
        (
            {"kind": "vgg19", "weights": "a.h5", "layers": ["pool1"], "depth": 16},
            "'depth'.*accepted: kind",
        ),
        ({"kind": "keras_file", "weights": "a.keras", "layers": ["a"]}, "needs 'input_range'"),
    ],
)
def test_factory_says_what_is_wrong(specification, sentence):
    with pytest.raises(ValueError, match=sentence):
        load_feature_network(specification)


@pytest.mark.parametrize("kind", ["vgg16", "vgg_face", "identity", "keras_file"])
def test_a_missing_file_is_named(kind, tmp_path):
    entries = {"kind": kind, "weights": tmp_path / "missing.keras", "layers": ["pool1"]}
    if kind == "keras_file":
        entries["input_range"] = (0, 1)
    with pytest.raises(FileNotFoundError, match="missing.keras"):
        load_feature_network(entries)


def test_keras_files_that_do_not_fit(tmp_path):
    path = passing_network(tmp_path / "any.keras")
    with pytest.raises(ValueError, match="any.keras .*'relu'.*same, mean, end"):
        KerasFileNetwork(path, ["relu"], (0, 1))
    (tmp_path / "text.keras").write_text("hello")
    with pytest.raises(ValueError, match="text.keras cannot be read as a Keras network"):
        KerasFileNetwork(tmp_path / "text.keras", ["a"], (0, 1))
    inputs = keras.Input((None, None, 1))
    keras.Model(inputs, keras.layers.Conv2D(1, 1)(inputs)).save(tmp_path / "grey.keras")
    with pytest.raises(ValueError, match=r"\[\(None, None, None, 1\)\]"):
        KerasFileNetwork(tmp_path / "grey.keras", ["conv2d"], (0, 1))


def test_a_layer_used_twice_gives_its_first_output(tmp_path, images):
    keras.utils.set_random_seed(3)
    inputs, shared = keras.Input((None, None, 3)), keras.layers.Conv2D(3, 1, name="shared")
    keras.Model(inputs, shared(shared(inputs))).save(tmp_path / "twice.keras")
    activations = to_numpy(KerasFileNetwork(tmp_path / "twice.keras", ["shared"], (0, 1)).features(images))
    kernel = ops.convert_to_numpy(shared.kernel)[0, 0]
    np.testing.assert_allclose(activations["shared"], images @ kernel, atol=1e-5)
