"""Features that are zero for every face, in a network small enough to work out by hand."""

import numpy as np
import pytest
from PIL import Image

keras = pytest.importorskip("keras")

from trainers.validation.layer_inputs import largest_inputs, report  # noqa: E402


@pytest.fixture
def network():
    """RGB -> (r, relu(-g - 1), r + b), the second dead for pictures in [0, 1] -> the same layer once more -> one."""
    inputs = keras.Input((None, None, 3))
    mix = keras.layers.Conv2D(3, 1, activation="relu", name="mix")
    last = keras.layers.Dense(1, name="last")
    model = keras.Model(inputs, last(mix(mix(inputs))))
    kernel = np.array([[1, 0, 1], [0, -1, 0], [0, 0, 1]], np.float32)
    mix.set_weights([kernel[None, None], np.array([0, -1, 0], np.float32)])
    return model


def test_the_largest_inputs_by_hand(network):
    """The largest of both calls of ``mix``: r, g, and r + b of the second; ``last`` sees r, 0 and 2 r + b."""
    first, second = np.zeros((2, 4, 5, 3), np.float32), np.zeros((1, 4, 5, 3), np.float32)
    first[1, 2, 3], second[0, 0, 0] = (0.25, 0.75, 0.125), (0.5, 0.25, 1.0)
    found = largest_inputs(network, [first, second])
    assert list(found) == ["mix", "last"]
    np.testing.assert_allclose(found["mix"], [0.5, 0.75, 1.5])
    np.testing.assert_allclose(found["last"], [0.5, 0.0, 2.0])
    assert report(found) == [
        "     1 of     3  last",
        "     1 of     6  input channels of all layers (16.7 %) are zero",
    ]
    # Nothing stays patched.
    assert keras.layers.Dense.call.__qualname__ == "Dense.call"


def test_the_command(workplace, finished):
    folder = workplace.folder / "large_faces"
    folder.mkdir()
    for i in range(3):
        pixels = np.random.default_rng(i).integers(0, 256, (128, 128, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")
    weights = workplace.folder / "whole" / "best.weights.h5"
    script, faces = ("-m", "trainers.validation.dead_features"), ("--faces", folder, "--limit", 2)
    result = workplace.command("--preset", workplace.preset, *faces, "--weights", weights, script=script)
    assert (result.returncode, result.stderr) == (0, "")
    # Leaky ReLUs do not die.
    assert result.stdout.splitlines()[-1] == "over 2 faces." and "(0.0 %) are zero" in result.stdout
    result = workplace.command("--preset", workplace.preset, *faces, script=script)
    assert result.returncode == 2 and "no trained weights" in result.stderr.splitlines()[-1]
