import pytest
from keras import Model, layers, ops

from deblur_zoo.models.one_step import OneStep
from deblur_zoo.zoo.multiply_adds import count_multiply_adds


def functional(build):
    inputs = layers.Input((None, None, 3))
    return Model(inputs, build(inputs))


@pytest.mark.parametrize(
    "build, expected",
    [
        # Output pixels x kernel height x kernel width x input channels (of a group) x filters.
        (layers.Conv2D(8, 3, padding="same"), 12 * 20 * 9 * 3 * 8),
        (layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False), 6 * 10 * 9 * 3 * 8),
        (layers.Conv2D(8, (1, 5), padding="valid"), 12 * 16 * 5 * 3 * 8),
        (layers.Conv2D(6, 3, padding="same", groups=3), 12 * 20 * 9 * 1 * 6),
        (layers.Conv2D(4, 3, padding="same", dilation_rate=2), 12 * 20 * 9 * 3 * 4),
        (layers.DepthwiseConv2D(3, strides=2, padding="same", depth_multiplier=2), 6 * 10 * 9 * 3 * 2),
        (layers.SeparableConv2D(8, 3, padding="same"), 12 * 20 * (9 * 3 + 3 * 8)),
        # Every input pixel is spread over a kernel.
        (layers.Conv2DTranspose(5, 4, strides=2, padding="same"), 12 * 20 * 16 * 3 * 5),
        (layers.Dense(7), 12 * 20 * 3 * 7),
        (layers.PReLU(shared_axes=[1, 2]), 0),
        (layers.BatchNormalization(), 0),
    ],
)
def test_one_layer_by_hand(build, expected):
    assert count_multiply_adds(functional(build), 12, 20) == expected


def test_a_layer_used_twice_counts_twice_and_nested_models_are_seen():
    shared = layers.Conv2D(3, 3, padding="same")
    inner = functional(lambda x: shared(x))
    model = functional(lambda x: inner(shared(x)))
    assert count_multiply_adds(model, 4, 4) == 2 * 16 * 9 * 9


def test_layers_inside_wrappers_are_seen():
    model = functional(layers.SpectralNormalization(layers.Conv2D(4, 3, padding="same")))
    assert count_multiply_adds(model, 4, 4) == 16 * 9 * 3 * 4


def test_unknown_matrices_are_refused_instead_of_left_out():
    model = functional(layers.EinsumDense("nhwc,cd->nhwd", output_shape=(None, None, 4)))
    with pytest.raises(NotImplementedError, match="kernel"):
        count_multiply_adds(model, 4, 4)


def test_fixed_kernels_are_not_counted():
    class Blur(layers.Layer):
        def call(self, images):
            return ops.depthwise_conv(images, ops.ones((3, 3, 3, 1)), padding="same")

    assert count_multiply_adds(functional(Blur()), 4, 4) == 0


def test_a_subclassed_model_by_hand():
    model = OneStep(width=8, reduced_width=4, modules=2, kernel_sizes=(1, 3), scale=2)
    model.build()
    pixels = 8 * 16
    first = pixels * 6 * 6 * 3 * 8
    module = pixels * (2 * 8 * 4 + 1 * 4 * 4 + 9 * 4 * 4 + 8 * 8)
    last = pixels * 2 * 2 * 8 * 3
    assert count_multiply_adds(model, 16, 32) == first + 2 * module + last


def test_layers_work_as_before_afterwards():
    layer = layers.Conv2D(4, 3)
    model = functional(layer)
    assert count_multiply_adds(model, 8, 8) == count_multiply_adds(model, 8, 8)
    assert "call" not in vars(layer)
