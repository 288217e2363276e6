"""Publishing a run: weights in float16, measured again, with card and index row; or nothing at all."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from deblur_zoo import zoo
from deblur_zoo.models.face_parser import FaceParser
from deblur_zoo.models.one_step import OneStep
from deblur_zoo.zoo import golden, presets
from trainers.publishing.publication import publish_run

WORDS = {"license": "none", "data": "random colours"}


@pytest.fixture(scope="module")
def development(tmp_path_factory):
    """Two faces of 128x128, and labels for them."""
    faces, labels = tmp_path_factory.mktemp("faces"), tmp_path_factory.mktemp("labels")
    rng = np.random.default_rng(1)
    for i in range(2):
        coarse = Image.fromarray(rng.integers(0, 256, (9, 9, 3), dtype=np.uint8))
        coarse.resize((128, 128), Image.Resampling.BICUBIC).save(faces / f"{i}.png")
        classes = rng.integers(0, 11, (8, 8), dtype=np.uint8).repeat(16, axis=0).repeat(16, axis=1)
        Image.fromarray(classes).save(labels / f"{i}.png")
    return faces, labels


def assert_float16_of(preset, model, weights):
    """The preset's weights are those of a file, to float16's half unit in the last place: 2**-11 of the value."""
    model.build()
    model.load_weights(weights)
    for shipped, trained in zip(zoo.load(preset).get_weights(), model.get_weights(), strict=True):
        np.testing.assert_allclose(shipped, trained, rtol=2**-11, atol=1e-7)


def test_publishing_writes_a_preset_that_loads_and_is_measured(finished, workplace, development, tmp_path):
    run, preset = workplace.folder / "whole", tmp_path / "tiny"
    shutil.copytree(workplace.preset, preset)
    result = workplace.command(
        run, "--preset", preset, "--development", development[0], "--data", "random colours", "--license", "none",
        "--earlier_steps", "7", "--note", "It was short.", script=("-m", "trainers.publishing.publish"),
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert not list(tmp_path.glob(".publish-*"))
    assert_float16_of(preset, OneStep.from_config(zoo.load(preset).get_config()), run / "best.weights.h5")
    row = json.loads((tmp_path / "index.json").read_text())["presets"]["tiny"]
    config, training, metrics = (
        json.loads((preset / f"{name}.json").read_text()) for name in ("config", "training", "metrics")
    )
    progress = json.loads((run / "progress.json").read_text())
    assert row["weights_sha256"] == config["weights"]["sha256"] == metrics["model"]["weights_sha256"]
    assert training["steps"] == progress["best_step"] + 7 and training["faces_seen"] == 2 * training["steps"]
    assert str(workplace.folder) not in json.dumps(training)
    assert row["measured"]["psnr_gain_db"] == round(metrics["overall"]["psnr_gain"]["mean"], 2)
    # In float16, as they are shipped.
    shipped, answers = zoo.load(preset), golden.read(preset / golden.FILE)
    assert answers.weights_sha256 == row["weights_sha256"]
    np.testing.assert_allclose(shipped(answers.images / 255), answers.restored, atol=1e-5)
    card = (preset / "README.md").read_text()
    for text in (row["weights_sha256"], "random colours", "It was short.", "| 13 |", "seed 0", "l2 1", "Weights: none.",
                 "faces, fingerprint", f"on {finished.record['devices'][0]}", "| networks used in training | none |",
                 "smooth 4 steps, losses times weights: l2 1, total_variation 0.1"):  # fmt: skip
        assert text in card, text


def test_a_run_that_did_not_help_is_not_published(finished, workplace, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(workplace.folder / "whole", run)
    progress = json.loads((run / "progress.json").read_text())
    (run / "progress.json").write_text(json.dumps({**progress, "best_step": 0}))
    with pytest.raises(ValueError, match="training did not help"):
        publish_run(run, preset=tmp_path / "absent", development=tmp_path, **WORDS)


def record_of(recipe, **changes):
    return {
        "preset": None, "recipe": recipe, "init_from": "/home/someone/start.weights.h5", "init_parts": ["parser=/a/b"],
        "faces": {"folders": ["/home/someone/crops"], "count": 2, "sha256": "0"}, "networks": ["perceptual"],
        "network_files": {"perceptual": {"file": "vgg.h5", "sha256": "1"}, "unused": {"file": "x", "sha256": "2"}},
        "versions": {}, "devices": ["a chip"],
        "development": {"folder": "/home/someone/dev", "count": 2, "sha256": "3"}, **changes,
    }  # fmt: skip


def test_publishing_a_parser(workplace, development, tmp_path):
    model = FaceParser(widths=(4, 4), name="tiny_parser")
    model.build()
    presets.save_preset(model, tmp_path / "tiny_parser", "tiny_parser", weights=False)
    recipe = workplace.recipe() | {"precision": "float32", "seed": 3, "critic": {"class": "Judge"}}
    recipe["stages"] = [{"name": "clear", "steps": 20, "losses": {"parsing": 1.0}, "critic_losses": {"real": 2.0}}]
    run = tmp_path / "run"
    run.mkdir()
    model.save_weights(run / "best.weights.h5")
    (run / "run.json").write_text(json.dumps(record_of(recipe, preset=str(tmp_path / "tiny_parser"))))
    (run / "progress.json").write_text(json.dumps({"best_step": 20, "seconds": 7200}))
    options = {**WORDS, "development": development[0]}
    with pytest.raises(ValueError, match="labels"):
        publish_run(run, **options)
    assert sorted(path.name for path in (tmp_path / "tiny_parser").iterdir()) == ["config.json"]
    options["development_labels"] = development[1]
    publish_run(run, **options)
    assert_float16_of(tmp_path / "tiny_parser", FaceParser(widths=(4, 4)), run / "best.weights.h5")
    row = json.loads((tmp_path / "index.json").read_text())["presets"]["tiny_parser"]
    metrics = json.loads((tmp_path / "tiny_parser" / "metrics.json").read_text())
    assert row["kind"] == "parser" and row["measured"] == {
        "mean_f_score": round(metrics["mean_f_score"], 4),
        "faces": 2,
    }
    assert len(metrics["f_scores"]) == 10
    training = (tmp_path / "tiny_parser" / "training.json").read_text()
    assert "someone" not in training and "/a/" not in training and "unused" not in training
    card = (tmp_path / "tiny_parser" / "README.md").read_text()
    for text in ("perceptual (vgg.h5), critic `Judge`", "the critic's: real 2", "2.0 hours on a chip", "seed 3",
                 '.parse("face.png")', "| left_eye |", "mean F-score on development faces"):  # fmt: skip
        assert text in card, text
    # With a cross-validation its scores are the ones that count.
    scores = {"folds": 5, "faces": 14, "mean_f_score": 0.5, "f_scores": dict.fromkeys(metrics["f_scores"], 0.25)}
    (tmp_path / "scores.json").write_text(json.dumps(scores))
    publish_run(run, **options, cross_validation=tmp_path / "scores.json")
    row = json.loads((tmp_path / "index.json").read_text())["presets"]["tiny_parser"]
    assert row["measured"] == {"mean_f_score": 0.5, "faces": 14, "folds": 5}
    card = (tmp_path / "tiny_parser" / "README.md").read_text()
    assert f"| left_eye | 0.250 | {metrics['f_scores']['left_eye']:.3f} |" in card and "5-fold, 14 labelled" in card
    (tmp_path / "scores.json").write_text("{}")
    with pytest.raises(ValueError, match=r"scores\.json"):
        publish_run(run, **options, cross_validation=tmp_path / "scores.json")
    assert "5-fold" in (tmp_path / "tiny_parser" / "README.md").read_text()


def test_publishing_an_unfinished_run_changes_nothing(workplace, tmp_path):
    before = sorted(path.name for path in workplace.preset.iterdir())
    with pytest.raises(FileNotFoundError, match=r"run\.json is missing"):
        publish_run(tmp_path, preset=workplace.preset, development=tmp_path, **WORDS)
    assert sorted(path.name for path in workplace.preset.iterdir()) == before


@pytest.mark.parametrize(
    "arguments,sentence",
    [([], "--run is missing"), (["a", "b"], "unexpected argument 'b'"), (["a"], "--development is missing")],
)
def test_command_line_says_what_is_missing(arguments, sentence, workplace):
    result = workplace.command(*arguments, script=("-m", "trainers.publishing.publish"))
    assert result.returncode == 2
    assert sentence in result.stderr.strip().splitlines()[-1]
    assert "Traceback" not in result.stderr


def test_a_run_without_development_faces_has_no_best_weights(workplace, tmp_path):
    (tmp_path / "run.json").write_text(json.dumps(record_of(workplace.recipe(), preset=str(workplace.preset))))
    (tmp_path / "progress.json").write_text("{}")
    with pytest.raises(FileNotFoundError, match="--development"):
        publish_run(tmp_path, development=workplace.faces, **WORDS)
