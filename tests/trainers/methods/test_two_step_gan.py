"""two_step_gan's losses by hand, its recipes and the paper's ablations, and what a stage trains."""

import math
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from keras import ops

from deblur_zoo.models.two_step_gan import TwoStepGan
from deblur_zoo.models.two_step_gan_discriminator import ConditionalDiscriminator
from deblur_zoo.models.two_step_gan_generator import SharpPathway
from deblur_zoo.zoo import presets
from trainers.methods.registry import method_class
from trainers.methods.two_step_gan import TwoStepGanMethod
from trainers.runs.preparation import build_network
from trainers.runs.recipe import read_recipe

ROOT = Path(__file__).resolve().parents[3]
PRESET = ROOT / "hub_models" / "two_step_gan_paper"
ABLATIONS = sorted((ROOT / "trainers" / "recipes" / "two_step_gan").glob("*.json"))
SMALL = {"hourglass_widths": [4, 4], "hourglass_levels": 1, "first_kernel": 3, "encoder_widths": [4, 6, 8],
         "decoder_widths": [6, 4]}  # fmt: skip
LOSSES = {"adversarial": 1.0, "content": 100.0, "gradient": 100.0, "projection": 8.0, "reconstruction": 100.0}


@pytest.fixture
def batch():
    blurred, sharp = np.random.default_rng(0).random((2, 2, 8, 8, 3), dtype=np.float32)
    return {"blurred": ops.convert_to_tensor(blurred), "sharp": ops.convert_to_tensor(sharp)}


def test_content_terms_by_hand(batch):
    outputs = {"hourglass": batch["sharp"] + 0.5, "restored": batch["sharp"] - 0.25}
    terms = TwoStepGanMethod({"hourglass": 1.0, "content": 1.0}).terms(batch, outputs, None)
    assert float(terms["hourglass"]) == pytest.approx(0.5, rel=1e-5)
    assert float(terms["content"]) == pytest.approx(0.25, rel=1e-5)
    squares = TwoStepGanMethod({"hourglass": 1.0, "content": 1.0}, pixels="l2").terms(batch, outputs, None)
    assert float(squares["hourglass"]) == pytest.approx(0.25, rel=1e-5)
    assert float(squares["content"]) == pytest.approx(0.0625, rel=1e-5)


def test_gradient_term_by_hand(batch):
    # A ramp across of 0.1 a pixel on top: 8 * 7 differences of 0.1 among 8 * 8 pixels, none downwards.
    ramp = 0.1 * np.arange(8, dtype=np.float32)[None, None, :, None]
    terms = TwoStepGanMethod({"gradient": 1.0}).terms(batch, {"restored": batch["sharp"] + ramp}, None)
    assert float(terms["gradient"]) == pytest.approx(0.1 * 7 / 8, rel=1e-4)


def fake_critic(pairs, training):
    """Logits: mean of the judged image. Features: what the pair is, weighted."""
    assert training and pairs.shape[-1] == 6
    return ops.mean(pairs[..., 3:], axis=-1, keepdims=True), 2.0 * pairs


def test_adversarial_terms_by_hand(batch):
    restored = ops.zeros_like(batch["sharp"])
    method = TwoStepGanMethod({"adversarial": 1.0, "projection": 1.0}, {"discriminator": 1.0})
    terms = method.terms(batch, {"restored": restored}, SimpleNamespace(critic=fake_critic))
    assert list(terms) == ["adversarial", "projection"]
    # A logit of 0 is a probability of a half.
    assert float(terms["adversarial"]) == pytest.approx(math.log(2), rel=1e-5)
    # The blurred halves are equal: the mean over six channels is half that over three, of twice the sharp image.
    assert float(terms["projection"]) == pytest.approx(float(np.mean(batch["sharp"])), rel=1e-5)
    logits = np.mean(batch["sharp"], axis=-1)
    expected = np.mean(np.log1p(np.exp(-logits))) + math.log(2)
    terms = method.critic_terms(batch, {"restored": restored}, fake_critic, None)
    assert float(terms["discriminator"]) == pytest.approx(expected, rel=1e-5)


def test_reconstruction_term_by_hand(batch):
    calls = []

    def reconstruct(pathway, images, training):
        calls.append((pathway, training))
        return images + 0.125

    trainer = SimpleNamespace(auxiliary="the second pathway", model=SimpleNamespace(reconstruct=reconstruct))
    terms = TwoStepGanMethod({"reconstruction": 1.0}).terms(batch, {"restored": batch["sharp"]}, trainer)
    assert float(terms["reconstruction"]) == pytest.approx(0.125, rel=1e-5)
    assert calls == [("the second pathway", True)]


def test_perceptual_term_is_taken_on_a_share(batch):
    network = SimpleNamespace(features=lambda images: {"one": images, "two": 2.0 * images})
    outputs = {"restored": batch["sharp"] + np.array([0.5, 7.0], np.float32)[:, None, None, None]}
    method = TwoStepGanMethod({"perceptual": 1.0}, networks={"perceptual": network}, perceptual_share=0.5)
    assert float(method.terms(batch, outputs, None)["perceptual"]) == pytest.approx(0.5 + 1.0, rel=1e-5)


def test_what_does_not_hold_together_is_refused(batch):
    with pytest.raises(ValueError, match="pixels must be one of l1, l2, negative_psnr, got 'l3'"):
        TwoStepGanMethod({"content": 1.0}, pixels="l3")
    with pytest.raises(ValueError, match="loss 'facial' is unknown to TwoStepGanMethod; accepted: hourglass"):
        TwoStepGanMethod({"facial": 1.0})
    with pytest.raises(ValueError, match="needs the recipe's auxiliary network: SharpPathway"):
        TwoStepGanMethod({"reconstruction": 1.0}).terms(
            batch, {"restored": batch["sharp"]}, SimpleNamespace(auxiliary=None)
        )
    with pytest.raises(ValueError, match="needs a model with an hourglass"):
        TwoStepGanMethod({"hourglass": 1.0}).terms(batch, {"restored": batch["sharp"]}, None)
    assert TwoStepGanMethod({"projection": 1.0}).has_adversary and not TwoStepGanMethod({"content": 1.0}).has_adversary


def test_the_recipe_is_the_papers():
    recipe = read_recipe(PRESET / "recipe.json")
    hourglass, gan = recipe["stages"]
    assert hourglass["losses"] == {"hourglass": 1.0} and hourglass["train"] == ["hourglass"]
    assert gan["losses"] == LOSSES and gan["train"] == ["generator", "auxiliary"]
    assert gan["critic_losses"] == {"discriminator": 1.0}
    for stage in recipe["stages"]:
        assert stage["optimizer"] == {"class_name": "adam", "config": {"beta_1": 0.5}}
        assert stage["learning_rate"]["peak"] == 2e-4
    # 60 epochs of 300,000, 60,000 and 100,000 pairs.
    assert gan["steps"] * recipe["batch_size"] == 60 * 460_000


@pytest.mark.parametrize("path", ABLATIONS, ids=lambda path: path.stem)
def test_every_ablation_is_a_recipe_of_a_model(path):
    recipe = read_recipe(path)
    config = presets.read_config(PRESET)
    model = presets.build_model({**config, "arguments": {**config["arguments"], **SMALL, **recipe["arguments"]}})
    assert recipe["critic"]["class"] == "ConditionalDiscriminator"
    for stage in recipe["stages"]:
        method = method_class(recipe["method"])(
            stage["losses"], stage["critic_losses"], {"perceptual": None}, **stage["options"]
        )
        assert method.has_adversary == ("adversarial" in stage["losses"])
        assert ("auxiliary" in stage["train"]) == ("reconstruction" in stage["losses"])
        assert recipe["auxiliary"] is not None or "auxiliary" not in stage["train"]
        for part in stage["train"]:
            assert part == "auxiliary" or getattr(model, part) is not None


def test_ablations_differ_from_the_preset_as_the_table_says():
    recipes = {path.stem.removeprefix("table_4_"): read_recipe(path) for path in ABLATIONS}
    losses = {name: set(recipe["stages"][-1]["losses"]) for name, recipe in recipes.items()}
    without = {name for name, recipe in recipes.items() if recipe["arguments"].get("hourglass_network") is False}
    assert without == {"no_hourglass", "no_hourglass_forward_pairs", "no_hourglass_vanilla_identity"}
    assert all([stage["name"] for stage in recipes[name]["stages"]] == ["gan"] for name in without)
    assert {name for name, terms in losses.items() if "perceptual" in terms} == {
        "hourglass_discriminator_identity", "no_hourglass_vanilla_identity", "hourglass_vanilla_identity"
    }  # fmt: skip
    assert {name for name, terms in losses.items() if "reconstruction" in terms} == {
        "no_hourglass", "no_hourglass_forward_pairs"
    }  # fmt: skip
    alone = {name for name, recipe in recipes.items() if recipe["arguments"].get("generator_network") is False}
    assert alone == {"hourglass_discriminator", "hourglass_discriminator_identity"}
    assert all(recipes[name]["stages"][-1]["train"] == ["hourglass"] for name in alone)
    assert len(recipes) == 7


def test_the_recipes_networks_are_built():
    recipe = read_recipe(PRESET / "recipe.json")
    small = {"critic": {"width": 4}, "auxiliary": {"widths": [4, 6, 8]}}
    critic, pathway = (
        build_network({**recipe[role], "arguments": arguments}, "mixed_bfloat16", 16)
        for role, arguments in small.items()
    )
    logits, features = critic(np.zeros((2, 16, 16, 6), np.float32))
    assert critic.built and logits.dtype == "float32" and features.dtype == "bfloat16"
    assert pathway.built and pathway(np.zeros((2, 16, 16, 3), np.float32))[0].shape == (2, 4, 4, 8)
    with pytest.raises(ValueError, match="SharpPathway: widths must be three or more"):
        build_network({"class": "SharpPathway", "arguments": {"widths": [4]}}, "float32", 16)


def test_stages_train_their_parts_alone(eagerly):
    from trainers.steps.engines import trainer_class
    from trainers.steps.schedule import Schedule

    keras.utils.set_random_seed(0)
    networks = {"critic": ConditionalDiscriminator(4, 3), "auxiliary": SharpPathway(SMALL["encoder_widths"])}
    networks["auxiliary"].build()
    trainer = trainer_class()(TwoStepGan(**SMALL), TwoStepGan(**SMALL), decay=0.9, **networks)
    parts = {"hourglass": trainer.model.hourglass, "generator": trainer.model.generator, **networks}
    data = tuple(np.random.default_rng(0).integers(0, 256, (2, 2, 16, 16, 3), dtype=np.uint8))
    for losses, critic_losses, train, moving in (
        ({"hourglass": 1.0}, {}, ["hourglass"], {"hourglass"}),
        (LOSSES, {"discriminator": 1.0}, ["generator", "auxiliary"], {"generator", "auxiliary", "critic"}),
    ):
        before = {name: part.get_weights() for name, part in parts.items()}
        schedules = [Schedule(peak=0.01, steps=10, decay="constant") for _ in range(2)]
        trainer.start_stage(
            TwoStepGanMethod(losses, critic_losses), keras.optimizers.SGD(), schedules[0], keras.optimizers.SGD(),
            schedules[1], train=train,
        )  # fmt: skip
        history = trainer.fit(
            (batch for batch in [data]), steps_per_epoch=1, epochs=1, verbose=0, shuffle=False
        ).history
        assert all(np.isfinite(values[0]) for values in history.values()) and set(losses) <= set(history)
        for name, weights in before.items():
            pairs = list(zip(weights, parts[name].get_weights(), strict=True))
            changed = [not np.array_equal(old, new) for old, new in pairs]
            # Frozen: not a weight, and not a moving statistic. Trained: the decoder's shared kernels above all.
            assert any(changed) if name in moving else not any(changed), (train, name)
    with pytest.raises(ValueError, match="critic"):
        trainer.critic = None
        trainer.start_stage(TwoStepGanMethod({"projection": 1.0}), keras.optimizers.SGD(), schedules[0])
