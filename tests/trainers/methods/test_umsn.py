"""umsn's losses by hand, its recipes and the ladder of table VI, and frozen parts."""

import math
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

from deblur_zoo.models.umsn import Umsn
from deblur_zoo.models.umsn_confidence import UmsnTrainingNetworks
from deblur_zoo.zoo import presets
from trainers.methods.registry import method_class
from trainers.methods.umsn import CLASS_OF_LABEL, UmsnMethod, parser_pictures
from trainers.runs.preparation import build_network
from trainers.runs.recipe import read_recipe

ROOT = Path(__file__).resolve().parents[3]
RECIPES = sorted((ROOT / "trainers" / "recipes" / "umsn").glob("*.json"))
PRESETS = [ROOT / "hub_models" / name / "recipe.json" for name in ("umsn_paper", "umsn_lite")]
SMALL = {"width": 8, "growth": 4, "blocks": 1, "last_width": 4, "feature_width": 4, "feature_blocks": 1,
         "parser_width": 4}  # fmt: skip
# Confidence of each class, and of each of its channels.
CONFIDENCES = np.array([0.5, 0.25, 0.75, 1.0])[:, None] * np.array([1.0, 0.5, 0.5])


class Auxiliary:
    """In place of the training networks: fixed confidences, and heads that add their features' mean to the picture."""

    confidence = property(lambda self: self)

    def confidences(self, truth, estimate, masks):
        return ops.convert_to_tensor(np.tile(CONFIDENCES, (len(truth), 1, 1)), "float32")

    heads = [lambda pictures, maps, features: pictures + ops.mean(features)] * 4


class Trainer:
    auxiliary = Auxiliary()


class Perceptual:
    """Features: the picture itself, twice as large."""

    def features(self, pictures):
        return {"layer": 2 * pictures}


@pytest.fixture
def batch():
    rng = np.random.default_rng(0)
    sharp, blurred = rng.random((2, 2, 8, 8, 3), dtype=np.float32)
    labels = np.full((2, 8, 8), 255, np.int32)
    labels[0, :, :4], labels[1, :2] = 4, 1
    values = {"sharp": sharp, "blurred": blurred, "labels": labels, "share": np.array([0.2, 0.7], np.float32)}
    return {name: ops.convert_to_tensor(value) for name, value in values.items()}


@pytest.fixture
def maps():
    """The left half of the pictures is class 3, the right half a fifth class 1 and four fifths class 2."""
    values = np.zeros((2, 8, 8, 4), np.float32)
    values[:, :, :4, 2], values[:, :, 4:, 0], values[:, :, 4:, 1] = 1, 0.2, 0.8
    return ops.convert_to_tensor(values)


def off_by(batch, maps, difference=0.25):
    """Outputs of a model that is wrong by the same amount everywhere."""
    half = ops.average_pool(batch["sharp"], 2, strides=2)
    return {"restored": batch["sharp"] + difference, "restored_half": half - difference, "maps": maps}


def terms_of(batch, outputs, losses, **options):
    method = UmsnMethod(dict.fromkeys(losses, 1.0), networks={"perceptual": Perceptual()}, **options)
    return {name: float(value) for name, value in method.terms(batch, outputs, Trainer()).items()}


def test_classes_of_the_labels():
    expected = [0, 1, 2, 2, 2, 2, 2, 2, 2, 2, 3]
    assert CLASS_OF_LABEL[:11].tolist() == expected and CLASS_OF_LABEL[255] == 255


def test_parsing_term_counts_known_pixels_at_both_sizes(batch):
    logits = {
        "parsing_logits": np.zeros((2, 8, 8, 4), np.float32),
        "parsing_logits_half": np.zeros((2, 4, 4, 4), np.float32),
    }
    method = UmsnMethod({"parsing": 1.0})
    assert method.needs_labels
    assert float(method.terms(batch, logits, None)["parsing"]) == pytest.approx(2 * math.log(4), rel=1e-5)
    # The eye of the first picture is of the third class, found at full size alone.
    logits["parsing_logits"][0, ..., 2] = 100
    assert float(method.terms(batch, logits, None)["parsing"]) == pytest.approx(1.5 * math.log(4), rel=1e-5)
    logits["parsing_logits_half"][1, ..., 1] = 100
    assert float(method.terms(batch, logits, None)["parsing"]) == pytest.approx(math.log(4), rel=1e-5)


def test_parser_sees_a_share_of_the_pictures_sharp(batch):
    for share, which in ((0.0, ("blurred", "blurred")), (0.5, ("sharp", "blurred")), (1.0, ("sharp", "sharp"))):
        found = ops.convert_to_numpy(parser_pictures(batch, share))
        for i in range(2):
            np.testing.assert_array_equal(found[i], ops.convert_to_numpy(batch[which[i]])[i])


def test_plain_terms_by_hand(batch, maps):
    outputs = off_by(batch, maps)
    assert terms_of(batch, outputs, ["content", "half"]) == pytest.approx({"content": 0.25, "half": 0.25}, rel=1e-5)
    squares = terms_of(batch, outputs, ["content", "half"], pixels="l2")
    assert squares == pytest.approx({"content": 0.0625, "half": 0.0625}, rel=1e-5)
    # Activations differ by 0.5 (eq. 5).
    assert terms_of(batch, outputs, ["perceptual"]) == pytest.approx({"perceptual": 0.25}, rel=1e-5)
    assert terms_of(batch, outputs, ["perceptual"], distance="l1") == pytest.approx({"perceptual": 0.5}, rel=1e-5)
    # A ramp across of 0.1 a pixel: 7 of 8 columns differ by that much, and 3 of 4 at half size.
    for name, size in (("restored", 8), ("restored_half", 4)):
        outputs[name] = outputs[name] + 0.1 * np.arange(size, dtype=np.float32)[:, None]
    found = terms_of(batch, outputs, ["gradient", "gradient_half"])
    assert found == pytest.approx({"gradient": 0.0875, "gradient_half": 0.075}, rel=1e-4)


def test_confidence_term_by_hand(batch, maps):
    outputs = off_by(batch, maps)
    # Sizes of the classes: 0.1, 0.4, 0.5, 0. Channels' factors have the mean 2 / 3 and the product 1 / 4.
    costs = 0.25 * (0.1 * 0.5 + 0.4 * 0.25 + 0.5 * 0.75) * 2 / 3
    logarithms = math.log(0.5 * 0.25 * 0.75) + 4 * math.log(0.25) / 3
    assert terms_of(batch, outputs, ["confidence"])["confidence"] == pytest.approx(costs - 0.01 * logarithms, rel=1e-4)
    weighted = 0.25 * (0.1 * 0.5 + 0.4 * 0.25 + 3 * 0.5 * 0.75) * 2 / 3
    found = terms_of(batch, outputs, ["confidence"], class_weights=[1, 1, 3, 1], regularizer=0.1)["confidence"]
    assert found == pytest.approx(weighted - 0.1 * logarithms, rel=1e-4)


def test_mixed_terms_see_the_estimate_by_its_confidence(batch, maps):
    outputs = off_by(batch, maps)
    # Of red, the estimate's share is 0.75 left and 0.2 * 0.5 + 0.8 * 0.25 right; half that of green and blue.
    shares = (0.75, 0.3)
    found = terms_of(batch, outputs, ["content", "half", "gradient"], mixed=True)
    # The mixed error is a step of 0.25 * 0.45 in each of 8 rows, at one of 8 columns.
    expected = {"content": 0.25, "half": 0.25 * sum(shares) / 2 * 2 / 3, "gradient": 0.25 * 0.45 * 2 / 3 / 8}
    assert found == pytest.approx(expected, rel=1e-4)


def test_first_stage_blurs_one_class_and_sums_over_all(batch, maps):
    class Model:
        def parse(self, images, training):
            assert not training and images is batch["sharp"]
            return {"parsing_logits": ops.log(maps + 1e-9)}

        def class_features(self, images, given):
            np.testing.assert_allclose(given, maps, atol=1e-5)
            return [ops.full((2, 4, 4, 5), 0.1 * i) for i in range(4)]

    method = UmsnMethod({"features": 1.0, "features_perceptual": 1.0}, networks={"perceptual": Perceptual()})
    outputs = method.outputs(Model(), batch)
    sharp, blurred, shares = (np.asarray(ops.convert_to_numpy(x)) for x in (batch["sharp"], batch["blurred"], maps))
    for i in range(4):
        share = shares[..., i : i + 1]
        expected = share * blurred + (1 - share) * sharp
        np.testing.assert_allclose(ops.convert_to_numpy(outputs[f"picture_{i}"]), expected, atol=1e-5)
    estimates = [sharp + shares[..., i : i + 1] * (blurred - sharp) + 0.1 * i for i in range(4)]
    absolute = [np.abs(estimate - sharp).mean() for estimate in estimates]
    squares = [np.square(2 * (estimate - sharp)).mean() for estimate in estimates]
    found = {name: float(value) for name, value in method.terms(batch, outputs, Trainer()).items()}
    assert found == pytest.approx({"features": sum(absolute), "features_perceptual": sum(squares)}, rel=1e-4)
    method = UmsnMethod({"features": 1.0}, class_weights=[1, 1, 3, 1])
    found = float(method.terms(batch, outputs, Trainer())["features"])
    assert found == pytest.approx(sum(absolute) + 2 * absolute[2], rel=1e-4)


def test_options_are_checked():
    for losses, options, message in (
        ({"content": 1}, {"pixels": "l3"}, "pixels must be one of l1, l2, negative_psnr, got 'l3'"),
        ({"content": 1}, {"distance": "l3"}, "distance must be one of l1, l2"),
        ({"content": 1}, {"class_weights": [1, 2]}, "class_weights must be four numbers"),
        ({"features": 1, "content": 1}, {}, "features terms need a stage of their own"),
        ({"facial": 1}, {}, "loss 'facial' is unknown to UmsnMethod; accepted: parsing, features"),
    ):
        with pytest.raises(ValueError, match=message):
            UmsnMethod(losses, **options)


@pytest.mark.parametrize("path", [*PRESETS, *RECIPES], ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_recipe_is_of_a_model_and_its_training_networks(path):
    recipe = read_recipe(path)
    name = path.parent.name if path in PRESETS else "umsn_paper"
    config = presets.read_config(ROOT / "hub_models" / name)
    arguments = {**config["arguments"], **SMALL, **recipe["arguments"], "hidden_width": 4}
    model = presets.build_model({**config, "arguments": arguments})
    for stage in recipe["stages"]:
        method = method_class(recipe["method"])(stage["losses"], None, {"perceptual": None}, **stage["options"])
        for part in stage["train"]:
            assert part == "auxiliary" or getattr(model, part) is not None, part
        assert ("auxiliary" in stage["train"]) == (method.guided or method.first_stage)
        assert not (method.guided or method.first_stage) or recipe["auxiliary"] is not None
    if recipe["auxiliary"]:
        full = Umsn(**{**config["arguments"], **recipe["arguments"]}).settings
        default = UmsnTrainingNetworks(feature_width=4, confidence={"width": 2, "hidden_width": 2}).settings
        default["feature_width"] = 16
        given = {**default, **recipe["auxiliary"]["arguments"]}
        assert {key: full[key] for key in default} == {key: given[key] for key in default}


def test_ladder_of_table_6_has_equal_parameters():
    """B-Net and F-Nets; S-Net, which some rows do not have, is not counted."""
    config = presets.read_config(ROOT / "hub_models" / "umsn_paper")
    counts = {}
    for path in RECIPES:
        arguments = read_recipe(path)["arguments"]
        model = presets.build_model({**config, "arguments": {**config["arguments"], **arguments}})
        counts[path.stem] = model.count_params() - (model.parser.count_params() if model.parser else 0)
    rows = ["baseline", "semantic_maps", "nested_residuals", "without_confidence"]
    assert set(counts) == {f"table_6_{row}" for row in rows} | {"umsn_code"}
    assert all(count == pytest.approx(counts["umsn_code"], rel=0.02) for count in counts.values())


def test_recipes_differ_as_the_paper_and_the_authors_code_do():
    recipes = {path.stem: {stage["name"]: stage for stage in read_recipe(path)["stages"]} for path in RECIPES}
    paper = {stage["name"]: stage for stage in read_recipe(PRESETS[0])["stages"]}
    assert [(name, stage["steps"]) for name, stage in paper.items()] == [
        ("parser_clear", 60000), ("parser_blurred", 30000), ("features", 50000), ("whole", 100000),
    ]  # fmt: skip
    assert paper["whole"]["losses"] == {"confidence": 1.0, "half": 1.0, "perceptual": 2e-4}
    assert recipes["table_6_without_confidence"]["whole"]["losses"] == {"half": 1.0, "perceptual": 2e-4, "content": 1.0}
    assert list(recipes["table_6_baseline"]) == ["whole"] and recipes["table_6_baseline"]["whole"]["train"] == ["base"]
    assert list(recipes["table_6_nested_residuals"]) == ["parser_clear", "parser_blurred", "whole"]
    code = recipes["umsn_code"]["whole"]
    assert code["options"]["class_weights"] == [1.2, 1.2, 3.6, 1.2] and code["options"]["mixed"]
    assert code["optimizer"]["config"] == {"beta_1": 0.5}


def test_a_stage_trains_its_parts_alone(eagerly):
    from trainers.steps.engines import trainer_class
    from trainers.steps.schedule import Schedule

    keras.utils.set_random_seed(0)
    settings = {"feature_width": 4, "confidence": {"width": 4, "hidden_width": 4}}
    auxiliary = build_network({"class": "UmsnTrainingNetworks", "arguments": settings}, "float32", 32)
    trainer = trainer_class()(Umsn(**SMALL), Umsn(**SMALL), decay=0.9, auxiliary=auxiliary)
    rng = np.random.default_rng(0)
    data = (*rng.integers(0, 256, (2, 2, 32, 32, 3), dtype=np.uint8), rng.integers(0, 11, (2, 32, 32), dtype=np.uint8))
    parts = {**{name: getattr(trainer.model, name) for name in ("parser", "feature_networks", "base")},
             "confidence": auxiliary.confidence, "heads": auxiliary.heads}  # fmt: skip

    def weights(part):
        return [value for layer in (part if isinstance(part, list) else [part]) for value in layer.get_weights()]

    for losses, train, expected in (
        ({"parsing": 1.0}, ["parser"], {"parser"}),
        ({"features": 1.0}, ["feature_networks", "auxiliary"], {"feature_networks", "heads"}),
        ({"confidence": 1.0, "half": 1.0}, ["feature_networks", "base", "auxiliary"],
         {"feature_networks", "base", "confidence"}),
    ):  # fmt: skip
        before = {name: weights(part) for name, part in parts.items()}
        schedule = Schedule(peak=0.1, steps=10, decay="constant")
        trainer.start_stage(UmsnMethod(losses), keras.optimizers.SGD(), schedule, train=train)
        trainer.fit((batch for batch in [data]), steps_per_epoch=1, epochs=1, verbose=0, shuffle=False)
        changed = {
            name
            for name, old in before.items()
            if any(not np.array_equal(a, b) for a, b in zip(old, weights(parts[name]), strict=True))
        }
        assert changed == expected, train
