"""Counting a network's weights before they are made."""

import keras
import pytest

from deblur_zoo.models.one_step import OneStep
from deblur_zoo.zoo.network_size import check_network_size

ARGUMENTS = {"width": 8, "reduced_width": 4, "modules": 1, "kernel_sizes": [1, 3], "scale": 2}


def test_the_limit_is_the_count_of_the_network_itself():
    model = OneStep(**ARGUMENTS)
    model.build()
    check_network_size(OneStep, ARGUMENTS, model.count_params())
    with pytest.raises(ValueError, match=f"would have {model.count_params():,} weights"):
        check_network_size(OneStep, ARGUMENTS, model.count_params() - 1)


def test_nothing_is_left_for_the_next_model_to_create():
    """Uninitialised variables would be created where the next network is traced, and fail or fill the memory there."""
    with pytest.raises(ValueError, match="weights"):
        check_network_size(OneStep, {**ARGUMENTS, "width": 90_000}, 1)
    layer = keras.layers.Dense(3)
    assert layer(keras.Input((2,))).shape == (None, 3)
    assert layer.count_params() == 9
