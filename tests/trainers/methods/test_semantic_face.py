"""semantic_face's losses by hand, its recipes and the paper's ablations, and frozen parts."""

import json
import math
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

from deblur_zoo.models.semantic_face import SemanticFace
from deblur_zoo.zoo import classes, presets
from trainers.methods.registry import method_class
from trainers.methods.semantic_face import FaceParserMethod, SemanticFaceMethod
from trainers.runs.preparation import build_network
from trainers.runs.recipe import complete_recipe, read_recipe

ROOT = Path(__file__).resolve().parents[3]
ABLATIONS = sorted((ROOT / "trainers" / "recipes" / "semantic_face").glob("*.json"))
SMALL = {"width": 4, "residual_blocks": 1, "first_kernel": 3, "kernel_size": 3, "parser_widths": [4, 4, 4, 4, 4, 4]}


def outputs_off_by(difference, truth):
    """Outputs of a model that is wrong by the same amount everywhere."""
    half = ops.average_pool(truth, 2, strides=2)
    return {
        name: source + np.float32(difference * factor)
        for name, source, factor in (("coarse", truth, 2), ("coarse_half", half, 2), ("restored", truth, 1),
                                     ("restored_half", half, 1), ("restored_1", truth, 3), ("restored_1_half", half, 3))
    }  # fmt: skip


@pytest.fixture
def batch():
    rng = np.random.default_rng(0)
    labels = np.full((2, 8, 8), 255, np.int32)
    # One image with an eye of 2x2 pixels and a nose of 2x4, and one without any component.
    labels[0, :2, :2], labels[0, 4:6, :4] = 4, 6
    labels[1] = 1
    return {"sharp": ops.convert_to_tensor(rng.random((2, 8, 8, 3), dtype=np.float32)), "labels": labels}


def test_content_terms_by_hand(batch):
    method = SemanticFaceMethod({"coarse": 1.0, "content": 1.0})
    terms = method.terms(batch, outputs_off_by(0.25, batch["sharp"]), None)
    # Two scales of the coarse network, each off by 0.5; two of each of two fine stages, off by 0.25 and 0.75.
    assert float(terms["coarse"]) == pytest.approx(2 * 0.5, rel=1e-5)
    assert float(terms["content"]) == pytest.approx(2 * (0.25 + 0.75), rel=1e-5)
    squares = SemanticFaceMethod({"coarse": 1.0}, pixels="l2").terms(batch, outputs_off_by(0.25, batch["sharp"]), None)
    assert float(squares["coarse"]) == pytest.approx(2 * 0.25, rel=1e-5)


def test_structural_term_by_hand(batch):
    outputs = outputs_off_by(0.25, batch["sharp"])
    for name in ("restored_1", "restored_1_half"):
        del outputs[name]
    equal = SemanticFaceMethod({"structural": 1.0}, structural_weights="equal").terms(batch, outputs, None)
    # 12 of 64 pixels belong to a component, in one of the two images, at two scales.
    assert float(equal["structural"]) == pytest.approx(2 * 0.25 * 12 / 64 / 2, rel=1e-5)
    adaptive = SemanticFaceMethod({"structural": 1.0}).terms(batch, outputs, None)
    # Both components count alike, and the weights' mean over their 12 pixels is 1: the same for a uniform error. At
    # half scale they have 1 and 2 pixels; one of a single pixel does not count as present there.
    assert float(adaptive["structural"]) == pytest.approx(0.25 * 12 / 64 / 2 + 0.25 * 2 / 16 / 2, rel=1e-5)


def test_parsing_term_counts_known_pixels_alone(batch):
    logits = np.zeros((2, 8, 8, 11), np.float32)
    terms = FaceParserMethod({"parsing": 1.0}).terms(batch, {"parsing_logits": logits}, None)
    assert float(terms["parsing"]) == pytest.approx(math.log(11), rel=1e-5)
    logits[1, :, :, 1] = 100.0
    terms = FaceParserMethod({"parsing": 1.0}).terms(batch, {"parsing_logits": logits}, None)
    assert float(terms["parsing"]) == pytest.approx(math.log(11) / 2, rel=1e-5)


def test_options_are_checked():
    with pytest.raises(ValueError, match="pixels must be one of l1, l2, negative_psnr, got 'l3'"):
        SemanticFaceMethod({"content": 1.0}, pixels="l3")
    with pytest.raises(ValueError, match="loss 'facial' is unknown to SemanticFaceMethod; accepted: coarse"):
        SemanticFaceMethod({"facial": 1.0})
    with pytest.raises(ValueError, match="the perceptual loss needs the perceptual network"):
        SemanticFaceMethod({"perceptual": 1.0})


@pytest.mark.parametrize("path", ABLATIONS, ids=lambda path: path.stem)
def test_every_ablation_is_a_recipe_of_a_model(path):
    recipe = read_recipe(path)
    config = presets.read_config(ROOT / "hub_models" / "semantic_face_paper")
    model = presets.build_model({**config, "arguments": {**config["arguments"], **SMALL, **recipe["arguments"]}})
    assert recipe["critic"]["class"] in classes.TRAINING_CLASSES
    for stage in recipe["stages"]:
        method = method_class(recipe["method"])(
            stage["losses"], stage["critic_losses"], {"perceptual": None}, **stage["options"]
        )
        assert method.has_adversary == ("adversarial" in stage["losses"])
        for part in stage["train"] or []:
            assert getattr(model, part) is not None


def test_ablations_differ_from_the_preset_as_the_tables_say():
    recipes = {path.stem: read_recipe(path) for path in ABLATIONS}
    preset = read_recipe(ROOT / "hub_models" / "semantic_face_paper" / "recipe.json")
    losses = {name: {stage["name"]: stage["losses"] for stage in recipe["stages"]} for name, recipe in recipes.items()}
    assert losses["table_2_labels_from_coarse"]["fine"] == {"content": 1.0}
    assert losses["table_4_adaptive_structural"]["fine"] == {"content": 1.0, "structural": 50.0}
    assert "adversarial" not in losses["table_6_perceptual"]["joint"]
    assert losses["table_6_perceptual"]["joint"]["perceptual"] == 1e-5
    assert [stage["name"] for stage in preset["stages"]] == ["coarse", "parser", "fine", "joint"]
    assert recipes["table_5_from_scratch"]["stages"][0]["steps"] == sum(stage["steps"] for stage in preset["stages"])
    assert recipes["table_7_kernel_9"]["arguments"]["first_kernel"] == 9


def test_a_stage_trains_its_parts_alone(eagerly):
    from trainers.steps.engines import trainer_class
    from trainers.steps.schedule import Schedule

    keras.utils.set_random_seed(0)
    trainer = trainer_class()(SemanticFace(**SMALL), SemanticFace(**SMALL), decay=0.9)
    rng = np.random.default_rng(0)
    data = (*rng.integers(0, 256, (2, 2, 32, 32, 3), dtype=np.uint8), rng.integers(0, 11, (2, 32, 32), dtype=np.uint8))
    for part, losses in (("coarse", {"coarse": 1.0}), ("parser", {"parsing": 1.0}), ("fine", {"content": 1.0})):
        before = {name: getattr(trainer.model, name).get_weights() for name in ("coarse", "parser", "fine")}
        schedule = Schedule(peak=0.1, steps=10, decay="constant")
        trainer.start_stage(SemanticFaceMethod(losses), keras.optimizers.SGD(), schedule, train=[part])
        trainer.fit((batch for batch in [data]), steps_per_epoch=1, epochs=1, verbose=0, shuffle=False)
        for name, weights in before.items():
            pairs = zip(weights, getattr(trainer.model, name).get_weights(), strict=True)
            changed = [not np.array_equal(old, new) for old, new in pairs]
            # Frozen: not a weight, and not a moving statistic.
            assert any(changed) if name == part else not any(changed), (part, name)
    with pytest.raises(ValueError, match="no part 'coarsest'"):
        trainer.start_stage(SemanticFaceMethod(losses), keras.optimizers.SGD(), schedule, train=["coarsest"])


def test_a_base_that_is_missing_or_circular(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps({"base": "b.json"}))
    with pytest.raises(FileNotFoundError, match="no recipe at"):
        read_recipe(tmp_path / "a.json")
    (tmp_path / "b.json").write_text(json.dumps({"base": "a.json"}))
    with pytest.raises(ValueError, match="its own base"):
        read_recipe(tmp_path / "a.json")


def test_changes_are_merged_into_the_base(tmp_path):
    base = read_recipe(ROOT / "hub_models" / "semantic_face_paper" / "recipe.json")
    (tmp_path / "base.json").write_text(json.dumps(base))
    change = {"base": "base.json", "seed": 5, "data": {"noise": 0.5}, "critic": None,
              "stages": [{"name": "parser", "losses": {"parsing": None, "content": 2.0}}]}  # fmt: skip
    (tmp_path / "change.json").write_text(json.dumps(change))
    expected = {**base, "seed": 5, "data": {**base["data"], "noise": 0.5}, "critic": None}
    expected["stages"] = [{**base["stages"][1], "losses": {"content": 2.0}}]
    assert read_recipe(tmp_path / "change.json") == complete_recipe(expected)
    (tmp_path / "wrong.json").write_text(json.dumps({"base": "base.json", "stages": [{"name": "fain"}]}))
    with pytest.raises(ValueError, match="changes a stage 'fain'"):
        read_recipe(tmp_path / "wrong.json")


def test_the_recipes_critic_is_built():
    recipe = read_recipe(ROOT / "hub_models" / "semantic_face_paper" / "recipe.json")
    specification = {**recipe["critic"], "arguments": {"width": 4, "depth": 2}}
    critic = build_network(specification, "mixed_bfloat16", 16)
    assert critic.built and critic(np.zeros((2, 16, 16, 3), np.float32)).shape == (2, 1)
    assert critic.convolutions[0].compute_dtype == "bfloat16"
    assert build_network(None, "float32", 16) is None
    with pytest.raises(
        ValueError, match="the class 'Fake' is neither one of the zoo's .*FaceDiscriminator, FaceParser"
    ):
        build_network({"class": "Fake", "arguments": {}}, "float32", 16)
    with pytest.raises(ValueError, match="invalid arguments"):
        build_network({"class": "FaceDiscriminator", "arguments": {"breadth": 4}}, "float32", 16)
