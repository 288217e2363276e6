"""umsn's networks: sizes, connections, options, what inference leaves out. The blocks are in test_umsn_blocks.py."""

from unittest import mock

import keras
import numpy as np
import pytest
from keras import ops

from deblur_zoo import zoo
from deblur_zoo.layers.resampling import halve
from deblur_zoo.models.umsn import Umsn, class_inputs
from deblur_zoo.models.umsn_confidence import ConfidenceNetwork, UmsnTrainingNetworks
from deblur_zoo.models.umsn_heads import ImageOutput
from deblur_zoo.models.umsn_parser import CLASS_NAMES, SemanticNetwork
from deblur_zoo.zoo import presets
from deblur_zoo.zoo.multiply_adds import count_multiply_adds
from tests.models import umsn_parameters as numbers

SMALL = {"width": 8, "growth": 4, "blocks": 1, "last_width": 4, "feature_width": 4, "feature_blocks": 2,
         "parser_width": 4}  # fmt: skip
LITE = {**SMALL, "scale": 2, "pooled": False, "dilated": False, "normalization": None, "one_channel_maps": False,
        "channel_attention": True, "image_skip": True, "feature_blocks": 1}  # fmt: skip


def array(value):
    return ops.convert_to_numpy(value)


def pictures(*shape, seed=1):
    return np.random.default_rng(seed).uniform(size=shape).astype("float32")


def randomised(network, seed=0):
    network.build()
    random = np.random.default_rng(seed)
    for weight in network.weights:
        if weight.path.endswith(("gamma", "moving_variance")):
            weight.assign(random.uniform(0.5, 1.5, weight.shape))
        else:
            weight.assign(random.normal(scale=0.3, size=weight.shape))
    return network


def test_parts_have_the_published_sizes():
    """S-Net 6.2 M; F-Nets with heads and B-Net 7.9 M; a first-stage network 0.36 M; the confidence network 0.34 M."""
    training = UmsnTrainingNetworks()
    heads = sum(head.count_params() for head in training.heads)
    assert numbers.PARSER / 1e6 == pytest.approx(6.2, rel=0.01)
    assert (numbers.BASE + 4 * numbers.FEATURES + heads) / 1e6 == pytest.approx(7.9, rel=0.01)
    assert numbers.FEATURES + heads // 4 == pytest.approx(0.36e6, rel=0.01)
    # 6 to 16 channels, three blocks by way of 96 to 32, four transitions to 16, three numbers.
    blocks = 3 * (16 * 96 + 9 * 96 * 96 + 9 * 96 * 32)
    worked = 9 * 6 * 16 + blocks + 16 * 16 + 3 * 32 * 16 + 17 * 3
    assert training.confidence.count_params() == worked == pytest.approx(0.34e6, rel=0.01)
    # A head: a block and the doubling of 16 channels, features of seven channels and sixteen, three last layers.
    block = 16 * 48 + 2 * 9 * 48 * 48 + 9 * 48 * 16 + 16 * 16
    ends = numbers.convolution(3, 16, 3) + numbers.convolution(7, 3, 8) + numbers.convolution(3, 8, 3)
    doubling = 32 * 16 + 9 * 16 * 16
    assert heads == 4 * (block + doubling + numbers.convolution(3, 4, 16) + numbers.convolution(3, 16, 16) + ends)


def test_multiply_adds_are_the_published_ones():
    """34 G for S-Net, and 58 G for the rest, the F-Nets' heads included, which inference leaves out."""
    found = presets.read_json(zoo.hub_folder() / "index.json")["presets"]["umsn_paper"]["gmac_128"]
    heads = 4 * 128**2 * (16 * 48 + 2 * 9 * 48 * 48 + 9 * 48 * 16) / 1e9 / 4
    assert found + heads == pytest.approx(34 + 58, rel=0.02)


def test_small_multiply_adds_by_hand():
    """F-Nets of a small network: 16x16 pixels at full size, 8x8 at half."""
    whole = {**SMALL, "feature_networks": True}
    counts = []
    for arguments in (whole, {**whole, "feature_networks": False}):
        model = Umsn(**arguments)
        model.build()
        counts.append(count_multiply_adds(model, 16, 16))
    first = 4 * 12 + 2 * 9 * 12 * 12 + 9 * 12 * 4 + 4 * 4 + 8 * 4
    block = lambda channels: channels * 12 + 2 * 9 * 12 * 12 + 9 * 12 * 4 + channels * 4 + (channels + 4) * 4  # noqa: E731
    merge = 16 * 12 + 9 * 12 * 12 + 9 * 12 * 4 + 16 * 4
    # Beside its own features, B-Net's second and last but one block, and a one-channel map, take four more channels.
    more = 4 * (12 + 4 + 8) + 4 * (12 + 4) + 4 * 8 + 9 * 4 * 4 + 9 * 4
    assert counts[0] - counts[1] == 4 * (256 * first + 64 * (block(4) + block(8))) + 64 * (merge + more)


def test_each_feature_network_sees_its_own_map():
    model = randomised(Umsn(**SMALL))
    image, maps = pictures(1, 8, 8, 3), pictures(1, 8, 8, 4, seed=2)
    before = [array(value) for value in model.feature_networks(class_inputs([image] * 4, maps))]
    for i in range(4):
        changed = maps.copy()
        changed[..., i] += 0.5 * pictures(1, 8, 8, seed=3)
        after = model.feature_networks(class_inputs([image] * 4, changed))
        assert [bool(np.any(array(new) != old)) for new, old in zip(after, before, strict=True)] == [
            j == i for j in range(4)
        ]
    inputs = class_inputs([image, image + 1, image, image], maps)
    np.testing.assert_allclose(array(inputs[1]), np.concatenate([2 * image + 1, maps[..., 1:2]], axis=-1), rtol=1e-6)


def test_restored_image_is_made_of_the_parts():
    model = randomised(Umsn(**SMALL))
    image = pictures(2, 8, 12, 3)
    logits, logits_half = model.parser(image)
    maps = ops.softmax(logits, axis=-1)
    features = model.class_features([image] * 4, maps)
    residual, residual_half = model.base(image, maps, features)
    outputs = model.training_outputs(image, training=False)
    expected = {
        "parsing_logits": logits,
        "parsing_logits_half": logits_half,
        "restored": model.base.output_head.image(image, residual),
        "restored_half": model.base.output_head.image(halve(image), residual_half),
    }
    assert set(outputs) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(array(outputs[name]), array(value), atol=1e-6)
    for name, value in model.parse(image).items():
        np.testing.assert_allclose(array(outputs[name]), array(value), atol=1e-6)


def test_inference_leaves_out_what_training_adds():
    model, image = randomised(Umsn(**SMALL)), pictures(1, 8, 8, 3)
    original = ImageOutput.image
    with mock.patch.object(ImageOutput, "image", autospec=True, side_effect=original) as images:
        model(image)
        assert images.call_count == 1
        model.training_outputs(image)
        assert images.call_count == 3
    # The heads' and the confidence network's weights are an auxiliary network's.
    paths = [weight.path for weight in model.weights]
    assert not any("head_of" in path or "confidence" in path for path in paths)
    assert (
        sum(part.count_params() for part in (model.parser, model.feature_networks, model.base)) == model.count_params()
    )


def test_lite_starts_as_the_identity_also_in_mixed_precision():
    image = pictures(2, 9, 10, 3)
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        mixed = Umsn(**LITE)
    finally:
        keras.config.set_dtype_policy("float32")
    for model in (Umsn(**LITE), mixed):
        np.testing.assert_array_equal(array(model(image)), image)
        assert "restored_half" not in model.training_outputs(image[:, :8])


@pytest.mark.parametrize("arguments", [SMALL, LITE, {**LITE, "pooled": True}])
def test_sizes_that_do_not_divide_are_mirrored(arguments):
    model = randomised(Umsn(**arguments))
    assert model.size_divisor == 4 * arguments.get("scale", 1)
    side = model.size_divisor
    image = pictures(1, side + side // 2, 2 * side, 3)
    # From one and a half divisors to two.
    whole = np.pad(image, [(0, 0), (0, side // 2), (0, 0), (0, 0)], mode="reflect")
    outputs, mirrored = (model.training_outputs(batch, training=False) for batch in (image, whole))
    for name, value in outputs.items():
        height = image.shape[1] // (2 if name.endswith("half") else 1)
        np.testing.assert_allclose(array(value), array(mirrored[name])[:, :height], atol=1e-5)
    with pytest.raises(ValueError, match="even"):
        model.training_outputs(pictures(1, 7, 8, 3))


def test_without_maps_there_are_no_parts_for_them():
    plain = Umsn(**{**SMALL, "semantic_maps": False, "feature_networks": False})
    plain.build()
    assert plain.parser is None and plain.feature_networks is None and plain.base.merge is None
    assert set(plain.training_outputs(pictures(1, 8, 8, 3))) == {"restored", "restored_half"}
    with pytest.raises(ValueError, match="semantic_maps"):
        plain.parse(pictures(1, 8, 8, 3))
    maps_alone = Umsn(**{**SMALL, "feature_networks": False, "nested_residuals": False})
    maps_alone.build()
    assert maps_alone.parser is not None and maps_alone.base.difference.own is None
    # Three channels of the image, and four of the maps.
    assert [model.base.first.shortcut.kernel.shape[2] for model in (plain, maps_alone)] == [3, 7]


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"width": 1}, "width .*at least 2, got 1"),
        ({"blocks": 0}, "blocks .*at least 1, got 0"),
        ({"growth": 2.5}, "growth"),
        ({"normalization": "layer"}, "normalization .*'layer'"),
        ({"semantic_maps": False}, "feature_networks need semantic_maps"),
    ],
)
def test_invalid_arguments(wrong, message):
    with pytest.raises(ValueError, match=f"Umsn: {message}"):
        Umsn(**{**SMALL, **wrong})


def test_parser_reads_the_half_size_copy():
    """What is added to the copy alone changes the labels."""
    network = randomised(SemanticNetwork(width=4))
    image = pictures(1, 8, 8, 3)
    before = array(network(image)[0])

    def changed(values):
        """The image's half-size copy with something added; features as they are."""
        half = halve(values)
        return half + 0.3 * pictures(1, 4, 4, 3) if values.shape[-1] == 3 else half

    with mock.patch("deblur_zoo.models.umsn_parser.halve", side_effect=changed):
        assert np.abs(array(network(image)[0]) - before).max() > 1e-3


def test_confidences_of_each_class_are_the_networks_answers_to_its_pair():
    network = ConfidenceNetwork(width=4, hidden_width=4)
    truth, estimate = pictures(2, 16, 16, 3), pictures(2, 16, 16, 3, seed=2)
    maps = pictures(2, 16, 16, 4, seed=3)
    found = array(network.confidences(truth, estimate, maps))
    assert found.shape == (2, 4, 3) and found.dtype == np.float32 and 0 < found.min() and found.max() < 1
    for i in range(4):
        part = maps[..., i : i + 1]
        alone = array(network(np.concatenate([part * estimate, part * truth], axis=-1)))
        np.testing.assert_allclose(found[:, i], alone, atol=1e-5)
    assert np.ptp(found, axis=1).max() > 0


def test_training_networks_round_trip():
    networks = UmsnTrainingNetworks(
        feature_width=4, scale=2, pooled=False, normalization=None, image_skip=True,
        confidence={"width": 4, "hidden_width": 4, "scale": 2},
    )  # fmt: skip
    twin = UmsnTrainingNetworks.from_config(networks.get_config())
    assert twin.get_config() == networks.get_config() and len(networks.heads) == len(CLASS_NAMES)
    assert [weight.shape for weight in twin.weights] == [weight.shape for weight in networks.weights]
    image = pictures(1, 8, 8, 3)
    # Starts as the image that it is given.
    found = networks.heads[0](image, image[..., :1], pictures(1, 4, 4, 4))
    np.testing.assert_array_equal(array(found), image)
    with pytest.raises(ValueError, match="feature_width"):
        UmsnTrainingNetworks(feature_width=0)
