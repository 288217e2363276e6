"""A share of each batch is pairs that are blurred already: exactly so many, warped alike, at both places."""

import importlib.util
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from deblur_zoo.blur.kernels import make_bank
from deblur_zoo.data import batches, host_synthesis, pipeline
from deblur_zoo.data.synthesis import PairMaker, Synthesis
from tests.commands import run_python

ROOT = Path(__file__).parents[2]
FACES, PAIRS, SIDE, CROP = 5, 6, 28, 24


def pair_maker(share, labels=False, pairs=True, **settings):
    generator = np.random.default_rng(0)
    faces, blurred, sharp = (
        generator.integers(0, 256, (count, SIDE, SIDE, 3), dtype=np.uint8) for count in (FACES, PAIRS, PAIRS)
    )
    labels = generator.integers(0, 11, faces.shape[:3], dtype=np.uint8) if labels else None
    banks = {"linear": make_bank("linear", 4, (9,))}
    synthesis = Synthesis(CROP, shares={"linear": 1}, pairs_share=share, **settings)
    pairs = SimpleNamespace(blurred=blurred, sharp=sharp) if pairs else None
    return PairMaker(faces, banks, synthesis, 0, labels, pairs=pairs)


@pytest.mark.parametrize(("share", "batch"), [(0.5, 16), (0.5, 2), (0.25, 4), (0.3, 10), (0.7, 10), (1 / 3, 6), (1, 3)])
def test_every_batch_has_exactly_the_share(share, batch):
    maker = pair_maker(share)
    maker.synthesis.check_batch(batch)
    for step in [0, 1, 2, 3, 99, 12_345, 10_000_019]:
        assert maker.plans(step * batch, batch)["pair"].sum() == round(share * batch)


def test_faces_and_pairs_are_each_shown_once_an_epoch():
    maker = pair_maker(0.4)
    plans = maker.plans(0, 300)
    faces, pairs = plans["face"][~plans["pair"]], plans["face"][plans["pair"]]
    assert len(faces) == 180 and len(pairs) == 120
    for shown, count in ((faces, FACES), (pairs, PAIRS)):
        epochs = shown.reshape(-1, count)
        assert all(sorted(epoch) == list(range(count)) for epoch in epochs)
        assert len({tuple(epoch) for epoch in epochs}) > 10


def test_without_a_share_nothing_is_drawn_otherwise():
    plain, with_pairs = pair_maker(0, pairs=False), pair_maker(0)
    one, other = plain.plans(0, 30), with_pairs.plans(0, 30)
    assert sorted(one) == sorted(other) and "pair" not in one
    # And beside given pairs the warps, kernels and noise of a number stay what they are.
    half = pair_maker(0.5).plans(0, 30)
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])
        if name != "face":
            np.testing.assert_array_equal(one[name], half[name])


@pytest.mark.parametrize("labels", [False, True])
def test_both_pictures_of_a_pair_are_warped_alike_and_nothing_else(labels):
    maker = pair_maker(0.5, labels, noise=0.1, unblurred_share=0.3)
    seen = set()
    for number in range(40):
        plan, pictures = maker.plan(number), maker.pair(number)
        assert len(pictures) == 2 + labels
        if not plan["pair"]:
            np.testing.assert_array_equal(
                pictures[1], host_synthesis.warp(maker.faces[plan["face"]], plan["matrix"], CROP)
            )
            continue
        seen.add(bool(plan["unblurred"]))
        blurred, sharp = (
            host_synthesis.warp(stack[plan["face"]], plan["matrix"], CROP)
            for stack in (maker.pairs.blurred, maker.pairs.sharp)
        )
        np.testing.assert_array_equal(pictures[1], sharp)
        np.testing.assert_array_equal(pictures[0], sharp if plan["unblurred"] else blurred)
        if labels:
            assert (pictures[2] == 255).all() and pictures[2].dtype == np.uint8
    assert seen == {True, False}


def test_another_stage_can_have_another_share():
    maker = pair_maker(0.5)
    augmentation = maker.synthesis.augmentation
    without, as_before = maker.with_augmentation(augmentation, 0.0), maker.with_augmentation(augmentation)
    assert "pair" not in without.plan(1) and as_before.plan(1)["pair"]
    assert without.with_augmentation(augmentation, 1.0).plan(0)["pair"]


def test_refusals():
    with pytest.raises(ValueError, match="0.5"):
        pair_maker(0.5, pairs=False)
    with pytest.raises(ValueError, match="0 to 1, got 1.5"):
        Synthesis(pairs_share=1.5)
    with pytest.raises(ValueError, match="0.3 .*16 .*4.8"):
        Synthesis(pairs_share=0.3).check_batch(16)
    with pytest.raises(ValueError, match="[Pp]airs of shape"):
        small = SimpleNamespace(blurred=np.zeros((2, 9, 9, 3), np.uint8), sharp=np.zeros((2, 9, 9, 3), np.uint8))
        PairMaker(pair_maker(0).faces, {"linear": make_bank("linear", 4, (9,))}, Synthesis(), 0, pairs=small)


def first(count, source):
    return [tuple(map(np.asarray, batch)) for _, batch in zip(range(count), source, strict=False)]


def assert_like_the_samples(found, maker, step=0):
    """Sharp pictures, labels and given blurred ones equal to the last bit; kernels' blur to a level of rounding."""
    for batch in found:
        for i in range(len(batch[0])):
            number = step * len(batch[0]) + i
            expected = maker.pair(number)
            for one, other in zip(batch[1:], expected[1:], strict=True):
                np.testing.assert_array_equal(one[i], other)
            difference = np.abs(batch[0][i].astype(int) - expected[0])
            assert difference.max() <= (0 if maker.plan(number)["pair"] else 1)
        step += 1


@pytest.mark.parametrize("labels", [False, True])
@pytest.mark.parametrize("place", ["host", "device"])
@pytest.mark.parametrize("source", [pipeline, batches], ids=["tf.data", "generator"])
def test_batches_hold_the_share_and_start_at_any_step(source, place, labels):
    maker = pair_maker(0.5, labels, unblurred_share=0.2)
    whole = first(3, source.training_batches(maker, 4, place=place))
    assert_like_the_samples(whole, maker)
    later = first(1, source.training_batches(maker, 4, first_step=2, place=place))
    for one, other in zip(whole[2], later[0], strict=True):
        np.testing.assert_array_equal(one, other)


ON_JAX = """
import sys
sys.modules["tensorflow"] = None
sys.path[:0] = [{root!r}, {tests!r}]
import jax, numpy as np
from test_given_pairs import pair_maker, first
from deblur_zoo.data import batches
whole = first(3, batches.training_batches(pair_maker(0.5, True), 4, place="device", compile=jax.jit))
np.savez({out!r}, **{{f"{{step}}_{{i}}": array for step, batch in enumerate(whole) for i, array in enumerate(batch)}})
"""


@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="JAX is not installed")
def test_batches_of_the_device_under_jax(tmp_path):
    out = str(tmp_path / "out.npz")
    # The pipeline's module is TensorFlow's, and is not there.
    code = "import sys, types\nsys.modules['deblur_zoo.data.pipeline'] = types.ModuleType('pipeline')\n"
    code += ON_JAX.format(root=str(ROOT), tests=str(Path(__file__).parent), out=out)
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    done = run_python("-c", code, env=environment)
    assert done.returncode == 0, done.stderr
    with np.load(out) as file:
        found = [tuple(file[f"{step}_{i}"] for i in range(3)) for step in range(3)]
    assert_like_the_samples(found, pair_maker(0.5, True))
