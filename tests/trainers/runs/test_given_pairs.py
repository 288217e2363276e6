"""Training with a share of pairs that are blurred already: what the flags and the recipe say, and resuming."""

import copy

import numpy as np
import pytest

from deblur_zoo.data.pair_store import pair_writer
from trainers.runs.errors import OtherRun
from trainers.runs.preparation import digest, pairs_share, resolve_recipe
from trainers.runs.recipe import complete_recipe, without_later_settings
from trainers.runs.run import Run


@pytest.fixture(scope="module")
def shards(workplace):
    """Five pairs of 44x44: the faces' 40x40 and a wider margin."""
    folder = workplace.folder / "pairs"
    folder.mkdir()
    generator = np.random.default_rng(5)
    for name in ("a", "b"):
        with pair_writer(folder / f"{name}.tfrecord") as write:
            for i in range(5 if name == "a" else 4):
                write(f"{name}/{i}", *generator.integers(0, 256, (2, 44, 44, 3), dtype=np.uint8))
    return folder


def resolved(workplace, stage_shares=(None, None), share=0.0, **flags):
    recipe = workplace.recipe()
    recipe["data"]["pairs_share"] = share
    for stage, own in zip(recipe["stages"], stage_shares, strict=True):
        stage["pairs_share"] = own
    path = workplace.write_recipe("shares", recipe)
    recipe = resolve_recipe(workplace.flags("any", recipe=path, **flags), workplace.preset)
    return [pairs_share(recipe, stage) for stage in recipe["stages"]]


def test_shares_of_recipe_stage_and_flag(workplace):
    pairs = {"pairs": ["shards"]}
    assert resolved(workplace) == [0, 0]
    assert resolved(workplace, share=0.5, **pairs) == [0.5, 0.5]
    assert resolved(workplace, (0.0, None), share=0.5, **pairs) == [0, 0.5]
    assert resolved(workplace, (None, 0.5), **pairs) == [0, 0.5]
    # The flag replaces every share but that of a stage that says 0 itself.
    assert resolved(workplace, (0.0, 0.5), pairs_share=1.0, **pairs) == [0, 1]
    assert resolved(workplace, (None, 0.5), pairs_share=0.0) == [0, 0]
    assert resolved(workplace, pairs_share=0.5, **pairs) == [0.5, 0.5]


@pytest.mark.parametrize(
    ("shares", "flags", "sentence"),
    [
        (
            (None, 0.5),
            {"pairs_share": 0.5},
            "'content' takes a share of 0.5 of each batch from pairs: name",
        ),
        ((None, None), {"pairs": ["x"]}, "no stage .*--pairs_share"),
        ((None, None), {"pairs": ["x"], "pairs_share": 0.3}, "0.3 pairs in a batch of 2 is 0.6 pairs"),
        ((None, 1.5), {"pairs": ["x"]}, "0 to 1, got 1.5"),
    ],
)
def test_refusals(shares, flags, sentence, workplace):
    with pytest.raises(ValueError, match=sentence):
        resolved(workplace, shares, **flags)


def test_a_recipes_share_is_left_out_without_pairs_and_that_is_said(workplace, capsys):
    assert resolved(workplace, (0.5, None), share=0.5) == [0, 0]
    assert "--pairs" in capsys.readouterr().err


def test_a_recipe_without_pairs_has_the_digest_that_it_always_had(workplace):
    before = complete_recipe(workplace.recipe())
    for table in (before["data"], *before["stages"]):
        del table["pairs_share"]
    del before["data"]["camera"]
    assert digest(without_later_settings(complete_recipe(workplace.recipe()))) == digest(before)
    for place in (("data",), ("stages", 1)):
        recipe = complete_recipe(workplace.recipe())
        table = recipe
        for key in place:
            table = table[key]
        table["pairs_share"] = 0.5
        unchanged = copy.deepcopy(recipe)
        assert digest(without_later_settings(recipe)) != digest(before)
        assert recipe == unchanged


def test_a_run_with_pairs_resumes_as_if_nothing_had_happened(workplace, shards, monkeypatch):
    flags = {"pairs": [str(shards / "a.tfrecord")], "pairs_share": 0.5, "development": None}
    whole = Run.prepare(workplace.flags("pairs_whole", **flags))
    record = whole.record["pairs"]
    assert record["count"] == 5 and record["folders"] == flags["pairs"] and record["skipped"] == 0
    # Of the faces' size, and one of each batch of two is a pair.
    assert whole.pair_maker.pairs.sharp.shape == (5, 40, 40, 3)
    assert whole.pair_maker.plans(0, 8)["pair"].tolist() == [False, True] * 4
    whole.train(verbose=0)

    def interrupted(self, stage, *arguments):
        if stage["name"] == "smooth":
            raise KeyboardInterrupt
        return train_stage(self, stage, *arguments)

    train_stage = Run._train_stage
    monkeypatch.setattr(Run, "_train_stage", interrupted)
    with pytest.raises(KeyboardInterrupt):
        Run.prepare(workplace.flags("pairs_parts", **flags)).train(verbose=0)
    monkeypatch.undo()
    other = {**flags, "pairs": [str(shards / "b.tfrecord")]}
    with pytest.raises(OtherRun, match="the pairs differ"):
        Run.prepare(workplace.flags("pairs_parts", **other)).train(verbose=0)
    Run.prepare(workplace.flags("pairs_parts", **flags)).train(verbose=0)
    for one, other in zip(workplace.weights("pairs_whole"), workplace.weights("pairs_parts"), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_stage_has_its_own_share(workplace, shards, monkeypatch):
    recipe = workplace.recipe()
    recipe["stages"][0]["pairs_share"] = 0.0
    path = workplace.write_recipe("own_share", recipe)
    seen = []
    run = Run.prepare(workplace.flags("own_share", recipe=path, pairs=[str(shards)], pairs_share=0.5, development=None))
    batches = run.distribution.batches

    def recorded(pair_maker, *arguments):
        seen.append(pair_maker.synthesis.pairs_share)
        return batches(pair_maker, *arguments)

    monkeypatch.setattr(run.distribution, "batches", recorded)
    run.train(verbose=0)
    assert seen == [0.0, 0.5]
