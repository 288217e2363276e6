"""Both sources of batches, at both places: the same samples, from any step on."""

import numpy as np
import pytest

from deblur_zoo.blur.kernels import make_bank
from deblur_zoo.data import batches, pipeline, places
from deblur_zoo.data.synthesis import PairMaker, Synthesis


@pytest.fixture(scope="module")
def banks():
    return {"trajectory": make_bank("trajectory", 6, (13, 15))}


def pair_maker(banks, labels=False, **settings):
    generator = np.random.default_rng(0)
    faces = generator.integers(0, 256, (7, 40, 40, 3), dtype=np.uint8)
    labels = generator.integers(0, 11, (7, 40, 40), dtype=np.uint8) if labels else None
    synthesis = Synthesis(crop_size=32, shares={"trajectory": 1}, unblurred_share=0.2, **settings)
    return PairMaker(faces, banks, synthesis, 0, labels)


def first(count, batches):
    return [tuple(map(np.asarray, batch)) for _, batch in zip(range(count), batches, strict=False)]


@pytest.mark.parametrize("labels", [False, True])
@pytest.mark.parametrize("place", ["host", "device"])
@pytest.mark.parametrize("source", [pipeline, batches], ids=["tf.data", "generator"])
def test_batches_are_the_samples_and_start_at_any_step(source, place, labels, banks):
    maker = pair_maker(banks, labels)
    whole = first(4, source.training_batches(maker, 3, place=place))
    later = first(2, source.training_batches(maker, 3, first_step=2, place=place))
    assert len(whole[0]) == (3 if labels else 2)
    for one, other in zip(whole[2:], later, strict=True):
        for a, b in zip(one, other, strict=True):
            assert a.dtype == np.uint8
            np.testing.assert_array_equal(a, b)
    for step, batch in enumerate(whole):
        for i in range(3):
            blurred, *rest = maker.pair(3 * step + i)
            # The device may round a value that lies on the border between two levels the other way.
            difference = np.abs(batch[0][i].astype(int) - blurred)
            assert difference.max() <= (place == "device") and (difference > 0).mean() < 5e-3
            for ours, expected in zip(batch[1:], rest, strict=True):
                np.testing.assert_array_equal(ours[i], expected)


def test_a_compiler_gets_faces_and_kernels_as_arguments(banks):
    maker = pair_maker(banks)
    calls = []

    def compile(function):
        def call(arrays, plan):
            calls.append((arrays, plan))
            return function(arrays, plan)

        return call

    first(2, batches.training_batches(maker, 3, place="device", compile=compile))
    other = maker.with_augmentation(maker.synthesis.augmentation)
    first(1, batches.training_batches(other, 3, place="device", compile=compile))
    (arrays, plan), (again, _), (third, _) = calls
    assert sorted(arrays) == ["faces", "kernels"] and plan["matrix"].shape == (3, 2, 3)
    # Held once: the same tensors for every batch and every stage.
    assert arrays["faces"] is again["faces"] is third["faces"]
    np.testing.assert_array_equal(np.asarray(arrays["faces"]), maker.faces)


@pytest.mark.parametrize("source", [pipeline, batches], ids=["tf.data", "generator"])
def test_refusals(source, banks):
    with pytest.raises(ValueError, match="auto, host, device, got 'gpu'"):
        source.training_batches(pair_maker(banks), 3, place="gpu")
    with pytest.raises(ValueError, match="'host'"):
        source.training_batches(pair_maker(banks, jpeg=(50, 90)), 3, place="device")


def test_auto_takes_the_device_where_there_is_an_accelerator(banks, monkeypatch):
    synthesis, jpeg = Synthesis(), Synthesis(jpeg=(50, 90))
    monkeypatch.setattr(places, "_has_accelerator", lambda: False)
    assert places.choose_place("auto", synthesis) == "host"
    assert places.choose_place("device", synthesis) == "device"
    monkeypatch.setattr(places, "_has_accelerator", lambda: True)
    assert places.choose_place("auto", synthesis) == "device"
    assert places.choose_place("auto", jpeg) == places.choose_place("host", synthesis) == "host"
