"""enhancement_gan's losses by hand, its recipes, the paper's ablations, and a step with five critic steps."""

from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

from deblur_zoo.models.enhancement_gan import EnhancementGan
from deblur_zoo.models.enhancement_gan_critic import PatchCritic
from deblur_zoo.zoo import presets
from tests.losses import gradients
from trainers.methods.enhancement_gan import EnhancementGanMethod
from trainers.runs.preparation import build_network
from trainers.runs.recipe import read_recipe

ROOT = Path(__file__).resolve().parents[3]
RECIPES = ROOT / "trainers" / "recipes" / "enhancement_gan"
SMALL = {"widths": [4, 6], "blocks": 1, "growth": 2, "dense_blocks": 1, "dense_units": 2}


class Trainer:
    """What a method asks a trainer for."""

    def __init__(self, critic=None):
        self.critic = critic


class Features:
    """A feature network: red, and the square of all."""

    def features(self, images):
        self.count = images.shape[0]
        return {"red": images[..., :1], "square": ops.square(images)}


@pytest.fixture
def batch():
    random = np.random.default_rng(0)
    return {
        "sharp": random.random((2, 4, 6, 3), dtype=np.float32),
        "share": np.array([0.25, 0.75], np.float32),
    }


def off_by(difference, batch):
    return {"restored": batch["sharp"] + np.float32(difference)}


def test_content_term_by_hand(batch):
    terms = EnhancementGanMethod({"content": 1.0}).terms(batch, off_by(0.25, batch), None)
    assert list(terms) == ["content"] and float(terms["content"]) == pytest.approx(0.0625, rel=1e-5)
    terms = EnhancementGanMethod({"content": 1.0}, pixels="l1").terms(batch, off_by(0.25, batch), None)
    assert float(terms["content"]) == pytest.approx(0.25, rel=1e-5)


@pytest.mark.parametrize("distance,power", [("l2", 2), ("l1", 1)])
def test_perceptual_term_by_hand(batch, distance, power):
    network, outputs = Features(), off_by(0.5, batch)
    truth, estimate = batch["sharp"].astype("float64"), outputs["restored"].astype("float64")
    squares = np.abs(estimate**2 - truth**2) ** power
    method = EnhancementGanMethod({"perceptual": 1.0}, None, {"perceptual": network}, perceptual_distance=distance)
    found = float(method.terms(batch, outputs, None)["perceptual"])
    # A mean over each layer, summed over the layers.
    assert found == pytest.approx(0.5**power + squares.mean(), rel=1e-5) and network.count == 4
    half = EnhancementGanMethod(
        {"perceptual": 1.0}, None, {"perceptual": network}, perceptual_distance=distance, perceptual_share=0.5
    )
    found = float(half.terms(batch, outputs, None)["perceptual"])
    assert found == pytest.approx(0.5**power + squares[0].mean(), rel=1e-5) and network.count == 2


def scores(images, training):
    """A critic of patches: the square of red, at every other pixel."""
    assert training
    return ops.square(images[:, ::2, ::2, :1])


def test_adversarial_terms_by_hand(batch):
    outputs = off_by(0.5, batch)
    truth, estimate = batch["sharp"][:, ::2, ::2, 0] ** 2, outputs["restored"][:, ::2, ::2, 0] ** 2
    method = EnhancementGanMethod({"adversarial": 1.0}, {"critic": 1.0, "gradient_penalty": 10.0})
    terms = method.terms(batch, outputs, Trainer(scores))
    assert float(terms["adversarial"]) == pytest.approx(-estimate.mean(), rel=1e-5)
    found = method.critic_terms(
        batch, outputs, scores, lambda function, images: gradients.gradient_tensors(function, images)[0]
    )
    assert list(found) == ["critic", "gradient_penalty"]
    assert float(found["critic"]) == pytest.approx(estimate.mean() - truth.mean(), rel=1e-5)
    # The gradient of a mean over 2x3 patches of squares, at a quarter and three quarters of the way to the estimate.
    points = batch["sharp"] + 0.5 * batch["share"][:, None, None, None]
    norms = np.sqrt(np.sum((2 * points[:, ::2, ::2, 0] / 6) ** 2, axis=(1, 2)))
    assert float(found["gradient_penalty"]) == pytest.approx(np.mean((norms - 1) ** 2), rel=1e-4)


def test_gradient_penalty_of_a_flat_critic_has_a_finite_gradient(batch):
    method = EnhancementGanMethod({"content": 1.0}, {"gradient_penalty": 10.0})

    def penalty(factor):
        def flat(images, training):
            return factor * images[:, :1, :1, :1]

        def gradient(function, images):
            return gradients.gradient_tensors(function, images)[0]

        terms = method.critic_terms(batch, off_by(0.1, batch), flat, gradient)
        return ops.reshape(terms["gradient_penalty"], (1,))

    # The norm is |factor|: (0 - 1) squared, whose slope at zero the epsilon in the root makes 0 instead of NaN.
    np.testing.assert_allclose(ops.convert_to_numpy(penalty(np.float32(0))), [1.0], atol=1e-5)
    np.testing.assert_allclose(gradients.gradients(penalty, 0.0), [0.0], atol=1e-5)
    np.testing.assert_allclose(gradients.gradients(penalty, 3.0), [2 * (3 - 1)], rtol=1e-5)


def test_terms_and_options_are_checked():
    with pytest.raises(ValueError, match="loss 'l2' is unknown to EnhancementGanMethod; accepted: content, percep"):
        EnhancementGanMethod({"l2": 1.0})
    with pytest.raises(ValueError, match="pixels must be one of l1, l2, negative_psnr, got 'l3'"):
        EnhancementGanMethod({"content": 1.0}, pixels="l3")
    with pytest.raises(ValueError, match="perceptual_distance must be one of l1, l2, got 'cosine'"):
        EnhancementGanMethod({"content": 1.0}, perceptual_distance="cosine")
    with pytest.raises(ValueError, match="the perceptual loss needs the perceptual network"):
        EnhancementGanMethod({"perceptual": 1.0})


def test_the_papers_recipe():
    """Sections 3.2 and 4.1."""
    recipe = read_recipe(ROOT / "hub_models" / "enhancement_gan_paper" / "recipe.json")
    (stage,) = recipe["stages"]
    assert stage["losses"] == {"content": 1.0, "perceptual": 10.0, "adversarial": 1.0}
    assert stage["critic_losses"] == {"critic": 1.0, "gradient_penalty": 10.0} and stage["critic_steps"] == 5
    assert stage["optimizer"] == {"class_name": "adam", "config": {"beta_1": 0.5, "beta_2": 0.999}}
    assert stage["learning_rate"]["peak"] == 1e-4 and stage["learning_rate"]["decay"] == "constant"
    assert stage["critic_optimizer"] == stage["optimizer"] and stage["critic_learning_rate"] == stage["learning_rate"]
    assert stage["steps"] == 3_000_000 and recipe["batch_size"] == 16 and stage["options"] == {}
    assert recipe["data"]["crop_size"] == 150 and recipe["critic"]["class"] == "PatchCritic"
    kernels = recipe["data"]["kernels"]
    assert list(kernels) == ["trajectory"] and kernels["trajectory"]["count"] == 800
    assert kernels["trajectory"]["sizes"] == [13, 15, 17, 19, 21, 23, 25, 27]
    # 150 pixels around the canonical 128 are 11 more on each side, for the feature network too.
    assert recipe["networks"]["perceptual"]["region"] == [-11, -11, 150, 150]


ABLATIONS = {
    "table_2_no_enhancement_module": {"enhancement_module": False},
    "table_2_no_drdbu": {"dense_unit": False},
    "table_2_no_rrrb": {"recurrent_blocks": False},
    "table_2_no_resblock": {"residual_blocks": False},
    "table_3_no_perceptual": {},
}


def test_there_is_a_recipe_for_every_row():
    assert {path.stem for path in RECIPES.glob("*.json")} == set(ABLATIONS)


@pytest.mark.parametrize("name", ABLATIONS)
def test_an_ablation_differs_from_the_paper_in_its_row_alone(name):
    preset = read_recipe(ROOT / "hub_models" / "enhancement_gan_paper" / "recipe.json")
    recipe = read_recipe(RECIPES / f"{name}.json")
    assert recipe["arguments"] == ABLATIONS[name]
    config = presets.read_config(ROOT / "hub_models" / "enhancement_gan_paper")
    model = presets.build_model({**config, "arguments": {**config["arguments"], **SMALL, **recipe["arguments"]}})
    assert model.count_params() > 0
    if name == "table_3_no_perceptual":
        assert recipe["stages"][0]["losses"] == {"content": 1.0, "adversarial": 1.0}
        recipe["stages"][0]["losses"] = preset["stages"][0]["losses"]
    assert {**recipe, "note": "", "arguments": {}} == {**preset, "note": ""}


def test_the_recipes_critic_judges_its_crops():
    recipe = read_recipe(ROOT / "hub_models" / "enhancement_gan_paper" / "recipe.json")
    critic = build_network({**recipe["critic"], "arguments": {"width": 4}}, recipe["precision"], 150)
    result = critic(np.zeros((2, 150, 150, 3), np.float32))
    # 150, 75, 38 and 19.
    assert result.shape == (2, 19, 19, 1) and critic.convolutions[0].compute_dtype == "bfloat16"


def test_a_step_trains_both_players(eagerly):
    """Five critic steps on pictures of their own; every weight of both moves."""
    from trainers.steps.engines import trainer_class
    from trainers.steps.schedule import Schedule

    keras.utils.set_random_seed(0)
    # No larger than the graph of six passes through the model needs.
    tiny = {**SMALL, "enhancement_module": False, "recurrent_blocks": False}
    models = EnhancementGan(**tiny), EnhancementGan(**tiny)
    critic = PatchCritic(width=4, depth=1)
    critic.build()
    trainer = trainer_class()(*models, decay=0.9, critic=critic)
    method = EnhancementGanMethod({"content": 1.0, "adversarial": 1.0}, {"critic": 1.0, "gradient_penalty": 10.0})
    rate = Schedule(peak=0.01, steps=10, decay="constant"), Schedule(peak=0.01, steps=10, decay="constant")
    optimizers = keras.optimizers.SGD(), keras.optimizers.SGD()
    trainer.start_stage(method, optimizers[0], rate[0], optimizers[1], rate[1], critic_steps=5)
    before = {player: player.get_weights() for player in (trainer.model, critic)}
    data = np.random.default_rng(0).integers(0, 256, (2, 10, 30, 30, 3), dtype=np.uint8)
    history = trainer.fit((batch for batch in [tuple(data)]), steps_per_epoch=1, epochs=1, verbose=0, shuffle=False)
    assert set(history.history) == {
        "loss", "content", "adversarial", "critic_loss", "critic", "gradient_penalty"
    } and all(np.all(np.isfinite(row)) for row in history.history.values())  # fmt: skip
    assert int(optimizers[0].iterations) == 1 and int(optimizers[1].iterations) == 5
    for player, weights in before.items():
        for variable, old, new in zip(player.weights, weights, player.get_weights(), strict=True):
            assert np.any(old != new), variable.path
