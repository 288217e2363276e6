"""Saved models of every class, and the shipped presets, in a process of their own and on any backend.

KERAS_BACKEND=jax python reload_on_backend.py FOLDER

FOLDER holds .keras files and ``weights.npz``, all weights of each, flat. Where the networks are to run too, it also
holds ``answers.npz``, what each deblurrer and parser makes of ``PICTURES``, and ``shipped.npz``, what ``deblur`` and
``parse`` of the trained presets make of ``FACE``.
"""

import sys
from pathlib import Path

import numpy as np

PICTURES = np.random.default_rng(5).random((3, 19, 22, 3), dtype=np.float32)
FACE = np.random.default_rng(6).integers(0, 256, (37, 30, 3), dtype=np.uint8)


def flat_weights(model):
    return np.concatenate([np.ravel(value).astype(np.float64) for value in model.get_weights()])


def check(folder):
    import deblur_zoo

    assert "keras" not in sys.modules
    import keras

    assert not any(name.startswith("deblur_zoo.models.") for name in sys.modules)
    weights, answers, shipped = (
        dict(np.load(path)) if path.is_file() else {}
        for path in (folder / f"{name}.npz" for name in ("weights", "answers", "shipped"))
    )
    for path in sorted(folder.glob("*.keras")):
        model = keras.saving.load_model(path)
        np.testing.assert_array_equal(flat_weights(model), weights[path.stem], err_msg=path.stem)
        if path.stem in ("OneStep", "FaceParser"):
            again = deblur_zoo.load(path)
            assert type(again) is type(model)
            np.testing.assert_array_equal(flat_weights(again), weights[path.stem], err_msg=path.stem)
        if path.stem in answers:
            # Sums in another order; deep networks of random weights pass small differences on, and a softmax
            # enlarges them where two classes are about as probable.
            tolerance = 5e-3 if model.kind == "parser" else 2e-4
            np.testing.assert_allclose(model.run(PICTURES), answers[path.stem], atol=tolerance, err_msg=path.stem)
    for name, expected in shipped.items():
        model = deblur_zoo.load(name)
        if model.kind == "parser":
            # Two classes may be about as probable.
            assert np.mean(model.parse(FACE) == expected) > 0.99, name
        else:
            # Rounding may fall to either side.
            assert np.abs(model.deblur(FACE).astype(int) - expected).max() <= 1, name
    print("checked", len(weights), "files,", len(answers), "networks and", len(shipped), "presets")


if __name__ == "__main__":
    check(Path(sys.argv[1]))
