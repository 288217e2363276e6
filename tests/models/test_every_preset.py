"""What every preset of every method keeps to. A new preset joins by a row in ``PARAMETERS``, a new class by a row in
``tests/small_presets.py``.

Networks run at test width: the preset's arguments with few channels and blocks; everything else is the preset's.
"""

import functools
import importlib.util
import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers, ops

from deblur_zoo import zoo
from deblur_zoo.zoo import presets
from tests.models.layer_counts import adaptive_filters, convolution
from tests.small_presets import SMALL, same_at_test_width, small_config

INDEX = presets.read_json(zoo.hub_folder() / "index.json")["presets"]


def normalised(size, channels, filters):
    """A convolution without biases, and the four numbers a channel of its batch normalisation."""
    return size * size * channels * filters + 4 * filters


# An Inception module of one_step: reductions, branches whose squared sizes sum to `squares`, 1x1 merge.
def inception(width, sizes, squares, reduced=32):
    branches = sizes * convolution(1, width, reduced) + squares * reduced * reduced + sizes * reduced
    return branches + convolution(1, sizes * reduced, width)


# P of Shen et al.: six convolutions down, five steps of a transposed 4x4 (no bias) and a 3x3 up, 3x3 to 11 classes.
PARSER = (
    normalised(3, 3, 32)
    + normalised(3, 32, 64)
    + normalised(5, 64, 96)
    + normalised(3, 96, 160)
    + normalised(3, 160, 160)
    + normalised(3, 160, 256)
    + (16 * 256 * 160 + normalised(3, 160, 160))
    + (16 * 160 * 160 + normalised(3, 160, 160))
    + (16 * 160 * 96 + normalised(3, 96, 96))
    + (16 * 96 * 64 + normalised(3, 64, 64))
    + (16 * 64 * 32 + normalised(3, 32, 32))
    + convolution(3, 32, 11)
)
# At a quarter of the resolution: first 12x12, three scales, last a transposed convolution of 4x4.
PARSER_LITE = (
    normalised(12, 3, 48)
    + normalised(3, 48, 96)
    + normalised(5, 96, 144)
    + (16 * 144 * 96 + normalised(3, 96, 96))
    + (16 * 96 * 48 + normalised(3, 48, 48))
    + convolution(4, 48, 11)
)


# A scale: first convolution, 4 + 12 inner ones of 64 channels, last to RGB. Doubling between the scales: 4x4 of 3 to 3.
def paper_scale(channels):
    return convolution(11, channels, 64) + 16 * convolution(5, 64, 64) + convolution(5, 64, 3)


# The same at 1/4: first 8x8; ResBlocks with gains; last transposed 4x4.
def lite_scale(channels, width, blocks):
    block = 2 * convolution(3, width, width) + convolution(1, width, width)
    return (
        convolution(8, channels, width) + 4 * convolution(3, width, width) + blocks * block + convolution(4, width, 3)
    )


# Adaptive filters: 33 responses of 7x7 and their sums without biases; a hidden layer of 64 and its gains; the gates.
DOUBLE = convolution(4, 3, 3)


def small_semantic_face(width):
    coarse = lite_scale(3, 28, 6) + DOUBLE + lite_scale(6, 28, 6)
    fine = lite_scale(17, width, 8) + DOUBLE + lite_scale(20, width, 8)
    return coarse + PARSER_LITE + fine + adaptive_filters(width)


# At 1/4: gains of channel attention in each of the 16 modules.
def small_one_step(width, reduced):
    module = inception(width, 3, 35, reduced) + convolution(1, width, width)
    return convolution(12, 3, width) + 16 * module + convolution(4, width, 3) + adaptive_filters(width)


PARAMETERS = {
    "one_step_paper": (convolution(3, 3, 64) + 6 * inception(64, 5, 280) + convolution(1, 64, 3), 1_847_491),
    "one_step": (small_one_step(192, 64), 4_308_794),
    "one_step_lite": (small_one_step(96, 32), 1_153_754),
    "face_parser": (PARSER, 2_950_091),
    # Coarse: 3 channels, then 3 and the doubled 3. Fine: 3 + 3 + 11, then 3 + 3 + 11 + 3.
    "semantic_face_paper": (
        (paper_scale(3) + DOUBLE + paper_scale(6)) + PARSER + (paper_scale(17) + DOUBLE + paper_scale(20)),
        9_883_773,
    ),
    "semantic_face": (small_semantic_face(128), 7_659_452),
    "semantic_face_lite": (small_semantic_face(64), 2_840_892),
}
# Further methods have a file each.
for _path in sorted(Path(__file__).parent.glob("*_parameters.py")):
    PARAMETERS |= runpy.run_path(str(_path))["PARAMETERS"]
# Networks that end in tanh cannot leave [0, 1].
ENDS_IN_TANH = {"enhancement_gan_paper", "umsn_paper"}


def test_every_preset_takes_part():
    assert set(PARAMETERS) == set(INDEX) and {entry["class"] for entry in INDEX.values()} <= set(SMALL)


def randomise(model):
    """Random weights everywhere: zeros at the start would hide faults."""
    random = np.random.default_rng(0)
    for weight in model.weights:
        if weight.path.endswith(("gamma", "moving_variance")):
            weight.assign(random.uniform(0.5, 1.5, weight.shape))
        elif len(weight.shape) != 0:
            # Else the 33 filters saturate every pixel.
            scale = 0.25 if "/filters/" in weight.path else 1
            weight.assign(random.normal(scale=scale / np.sqrt(max(1, np.prod(weight.shape[:-1]))), size=weight.shape))
    return model


@functools.cache
def small_model(name):
    return randomise(presets.build_model(small_config(name)))


def images(*shape, seed=1):
    return np.random.default_rng(seed).uniform(size=(*shape, 3)).astype("float32")


def infer(model, batch):
    return ops.convert_to_numpy(model(batch, training=False))


def outputs(model, batch, training):
    """Training outputs as arrays; what training moves, averages of a normalisation and dropout's seeds, is put back."""
    before = [ops.convert_to_numpy(variable).copy() for variable in model.variables]
    values = {
        key: ops.convert_to_numpy(value) for key, value in model.training_outputs(batch, training=training).items()
    }
    for variable, value in zip(model.variables, before, strict=True):
        variable.assign(value)
    return values


def gradients(model, batch):
    """Gradient of each trainable variable of a loss that looks at every pixel of every training output."""

    def loss():
        random = np.random.default_rng(2)
        squares = [
            ops.mean(ops.square(value - random.normal(size=value.shape).astype("float32")))
            for _, value in sorted(model.training_outputs(batch, training=True).items())
        ]
        return sum(squares)

    if keras.backend.backend() == "jax":
        import jax

        def stateless(values):
            with keras.StatelessScope(state_mapping=list(zip(model.trainable_variables, values, strict=True))):
                return loss()

        return jax.grad(stateless)([variable.value for variable in model.trainable_variables])
    tf = pytest.importorskip("tensorflow")
    with tf.GradientTape() as tape:
        value = loss()
    return tape.gradient(value, model.trainable_variables)


def assert_all_receive_gradients(model, batch):
    found = gradients(model, batch)
    sizes = []
    for variable, gradient in zip(model.trainable_variables, found, strict=True):
        assert gradient is not None, f"{variable.path} has no gradient"
        gradient = ops.convert_to_numpy(gradient)
        assert np.all(np.isfinite(gradient)), variable.path
        sizes.append(np.abs(gradient).max())
    # A bias before a normalisation has a gradient of rounding errors, parts in 10**7, and not exactly zero.
    for variable, size in zip(model.trainable_variables, sizes, strict=True):
        assert size > 1e-5 * np.median(sizes), f"{variable.path}: gradient of {size}, others of {np.median(sizes)}"


every_preset = pytest.mark.parametrize("name", sorted(set(same_at_test_width().values())))


@pytest.mark.parametrize("name", sorted(INDEX))
def test_parameters_by_hand(name):
    """The index's number; test_registry.py counts the model's."""
    worked, number = PARAMETERS[name]
    assert worked == number == INDEX[name]["parameters"]


@every_preset
def test_config_round_trip(name):
    model = small_model(name)
    config = model.get_config()
    assert json.loads(json.dumps(config)) == config
    assert small_config(name)["arguments"].items() <= config.items()
    for twin in (
        type(model).from_config(config),
        keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(model)),
    ):
        assert type(twin) is type(model) and twin.get_config() == config
    twin.build()
    assert [weight.shape for weight in twin.weights] == [weight.shape for weight in model.weights]


@every_preset
def test_weights_round_trip_bit_for_bit(name, tmp_path):
    """tests/zoo/test_keras_file.py has whole models."""
    model, batch = small_model(name), images(1, 18, 10)
    model.save_weights(tmp_path / "model.weights.h5")
    twin = presets.build_model(small_config(name))
    twin.load_weights(tmp_path / "model.weights.h5")
    for weight, original in zip(twin.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, original)
    np.testing.assert_array_equal(infer(twin, batch), infer(model, batch))


@every_preset
def test_every_weight_receives_a_gradient(name):
    assert_all_receive_gradients(small_model(name), images(2, 32, 32))


def trained_parts():
    """What the stages of all recipes train: a preset, and the names of parts of its model."""
    for name, first in same_at_test_width().items():
        path = zoo.hub_folder() / name / "recipe.json"
        for stage in presets.read_json(path)["stages"] if path.is_file() else []:
            if "train" in stage:
                yield first, tuple(stage["train"])


@pytest.mark.parametrize("name, parts", sorted(set(trained_parts())))
def test_each_stage_of_a_recipe_reaches_the_parts_that_it_trains(name, parts):
    """A stage without "train" trains everything, as the test above."""
    model = randomise(presets.build_model(small_config(name)))
    for layer in model.layers:
        layer.trainable = False
    for part in parts:
        # A network beside the model, that is trained with it and not shipped.
        if part != "auxiliary":
            getattr(model, part).trainable = True
    assert_all_receive_gradients(model, images(2, 32, 32))


@every_preset
@pytest.mark.parametrize("height, width", [(1, 1), (7, 13), (128, 128), (131, 97)])
def test_any_size_and_range(name, height, width):
    batch = images(1, height, width)
    result = infer(small_model(name), batch)
    channels = 11 if INDEX[name]["kind"] == "parser" else 3
    assert result.shape == (1, height, width, channels) and result.dtype == np.float32
    assert result.min() >= 0 and result.max() <= 1 and result.std() > 0
    if INDEX[name]["kind"] == "parser":
        np.testing.assert_allclose(result.sum(-1), 1, atol=1e-5)


@every_preset
def test_batch_independence(name):
    model, batch = small_model(name), images(3, 32, 48)
    alone = np.concatenate([infer(model, batch[i : i + 1]) for i in range(3)])
    # Float32 has 7 digits; sums in another order differ in the last, which random weights amplify: 2.2e-5 measured on a
    # processor with AVX2 only.
    np.testing.assert_allclose(infer(model, batch), alone, atol=5e-5)


@every_preset
def test_mixed_precision(name):
    model, batch = small_model(name), images(2, 32, 32)
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        mixed = presets.build_model(small_config(name))
    finally:
        keras.config.set_dtype_policy("float32")
    mixed.set_weights(model.get_weights())
    exact, rounded = (outputs(network, batch, training=False) for network in (model, mixed))
    for key, value in exact.items():
        assert rounded[key].dtype == np.float32
        error = np.linalg.norm(rounded[key] - value) / np.linalg.norm(value)
        # bfloat16 rounds by up to 2**-9 = 0.2 % wherever a layer reads or writes, some 60 times one after the other,
        # errors that add like a random walk: 1.5 %. Networks with gains multiply features, and so errors, once more.
        # umsn_paper has twice as many, S-Net's before B-Net's, and its instance normalisation takes away the means that
        # the rounding was in parts of.
        assert 0 < error < (0.1 if name == "umsn_paper" else 0.03), (key, error)


@every_preset
def test_training_and_inference_differ_only_where_they_should(name):
    model, batch = small_model(name), 2 * images(2, 32, 32)
    before = model.get_weights()
    inference = outputs(model, batch, training=False)
    training = outputs(model, batch, training=True)
    result = infer(model, batch)
    for weight, original in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, original)
    # Inference clips, and gives no extras.
    if INDEX[name]["kind"] == "parser":
        expected = ops.convert_to_numpy(ops.softmax(inference["parsing_logits"], axis=-1))
    else:
        leaves = inference["restored"].max() > 1 or inference["restored"].min() < 0
        assert leaves == (name not in ENDS_IN_TANH)
        expected = np.clip(inference["restored"], 0, 1)
        np.testing.assert_array_equal(ops.convert_to_numpy(model(batch, training=True)), training["restored"])
        model.set_weights(before)
    np.testing.assert_array_equal(result, expected)
    # Only normalisation by the batch's statistics, and dropout, may tell the two apart.
    assert set(training) == set(inference)
    kinds = (layers.BatchNormalization, layers.Dropout, layers.SpatialDropout2D)
    special = [layer for layer in model._flatten_layers() if isinstance(layer, kinds)]
    changed = any(np.any(training[key] != inference[key]) for key in training)
    assert changed == bool(special)
    # A frozen part normalises by its running statistics, and leaves them alone.
    model.trainable = False
    frozen = {key: ops.convert_to_numpy(value) for key, value in model.training_outputs(batch, training=True).items()}
    model.trainable = True
    if not any(isinstance(layer, kinds[1:]) for layer in special):
        for key, value in frozen.items():
            np.testing.assert_array_equal(value, inference[key])
        for weight, original in zip(model.get_weights(), before, strict=True):
            np.testing.assert_array_equal(weight, original)


OTHER_BACKEND = """
import sys
import numpy as np, keras
from deblur_zoo.zoo import presets
from tests.models.layer_counts import adaptive_filters, convolution
from tests.small_presets import SMALL, small_config
for name, folder in zip(sys.argv[1::2], sys.argv[2::2]):
    model = presets.build_model(presets.read_config(folder))
    model.load_weights(folder + "/random.weights.h5")
    stored = np.load(folder + "/values.npz")
    value = np.asarray(model(stored["images"], training=False))
    print(name, keras.backend.backend(), float(np.abs(value - stored["value"]).max()))
"""


@pytest.mark.slow
def test_the_other_backend_gives_the_same(tmp_path):
    """Weights and outputs of one backend, computed again by the other in a process of its own."""
    other = {"tensorflow": "jax", "jax": "tensorflow"}[keras.backend.backend()]
    if importlib.util.find_spec(other) is None:
        pytest.skip(f"{other} is not installed")
    arguments = []
    for name in INDEX:
        folder, model, batch = tmp_path / name, small_model(name), images(1, 18, 10)
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps(small_config(name)))
        model.save_weights(folder / "random.weights.h5")
        np.savez(folder / "values.npz", images=batch, value=infer(model, batch))
        arguments += [name, str(folder)]
    root = str(Path(__file__).parents[2])
    path = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "KERAS_BACKEND": other, "PYTHONPATH": path}
    command = [sys.executable, "-c", OTHER_BACKEND, *arguments]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert result.returncode == 0, result.stderr[-2000:]
    rows = [line.split() for line in result.stdout.splitlines()]
    assert [(name, backend) for name, backend, _ in rows] == [(name, other) for name in INDEX]
    # Sums in another order.
    assert all(float(difference) < 2e-5 for _, _, difference in rows), rows
